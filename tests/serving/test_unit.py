"""The unit for systemd in examples/systemd."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from edge_runtime.cli.arguments import parse

UNIT = Path(__file__).resolve().parents[2] / "examples/systemd/edge-serve.service"
MAX_EXPOSURE = 1.5
"""Of 10; the scale of systemd-analyze, where 0 is a process that can do nothing."""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_exposes_little_of_the_machine() -> None:
    process = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", UNIT],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", process.stdout)
    assert exposure is not None, process.stdout + process.stderr
    assert float(exposure[1]) <= MAX_EXPOSURE


def test_the_unit_starts_a_command_that_exists() -> None:
    text = UNIT.read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=\S+/edge-runtime (.*)$", text, re.M)
    assert command is not None
    arguments = parse(command[1].split())
    assert (arguments.command, arguments.watch, arguments.host) == ("serve", True, "127.0.0.1")
    assert re.search(rf"^SocketBindAllow=tcp:{arguments.port}$", text, re.M)
