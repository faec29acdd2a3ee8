"""Test edge-runtime doctor, the verdict of check, and starts without memory or open files."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from device.models import Parts
from device.streams import Run


def test_doctor_says_what_is_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setenv("EDGE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    for words in (np.__version__, f"{onnxruntime.__version__}, runs a graph", "trusts no keys"):
        assert words in out
    assert out.splitlines()[-1].split(None, 1) == ["verdict", "OK: this machine can run models"]
    code, out, _ = run("doctor", "--json")
    facts = json.loads(out)
    assert (code, facts["ok"], facts["problems"], facts["numpy"]) == (0, True, [], np.__version__)


def test_doctor_finds_broken_models_and_keys(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models/pump").mkdir(parents=True)
    (tmp_path / "models/pump/current").symlink_to("releases/1")
    monkeypatch.setenv("EDGE_MODELS", str(tmp_path / "models"))
    code, out, _ = run("doctor", "--json", "--trust-store", tmp_path / "absent")
    facts = json.loads(out)
    assert (code, facts["ok"], len(facts["problems"])) == (1, False, 2)
    assert "absent is no folder" in facts["problems"][0]
    assert "the model pump has no file" in facts["problems"][1]


def test_check_ends_with_a_verdict(run: Run, parts: Parts, bundle_file: Path) -> None:
    _, out, _ = run("check", bundle_file)
    assert out.splitlines()[-1].split(None, 1) == [
        "verdict",
        "OK: tiny predicts on this machine as scikit-learn did",
    ]
    assert json.loads(run("check", bundle_file, "--json")[1])["verdict"] == "ok"

    bundle_file.write_bytes(
        parts.sealed(golden=replace(parts.manifest.golden, rows=(), answers={}))
    )
    code, out, _ = run("check", bundle_file)
    assert (code, "verdict" in out.splitlines()[-1]) == (0, True)
    assert "NOT COMPARED" in out.splitlines()[-1]


START = """
import sys
sys.path[:0] = {path!r}
sys.argv = ["edge-runtime", *sys.argv[1:]]
import edge_runtime_command
sys.exit(edge_runtime_command.main())
"""


def start_within(
    limit: Callable[[], None], *arguments: object
) -> "subprocess.CompletedProcess[str]":
    source = START.format(path=sys.path)
    # -S: a .pth file may import more before our first line runs.
    call = [sys.executable, "-S", "-c", source, *map(str, arguments)]
    return subprocess.run(call, preexec_fn=limit, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.native("limits of memory hold for the emulator")
@pytest.mark.parametrize("megabytes", [95, 105, 110, 120, 130, 140, 150])
def test_too_little_memory_is_one_line(bundle_file: Path, megabytes: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    result = start_within(limit, "check", bundle_file)
    assert "Traceback" not in result.stderr
    if result.returncode > 0:  # below 0: native code of numpy or onnxruntime ended the process
        assert result.returncode == 1
        # C++ libraries print bad_alloc too; a line of ours may quote it.
        lines = result.stderr.splitlines()
        ours = [line for line in lines if line.startswith("edge") or "bad_alloc" not in line]
        assert len(ours) == 1
        assert "memory" in ours[0].lower()


@pytest.mark.parametrize("files", [4, 5, 6])
def test_too_few_open_files_are_one_line(bundle_file: Path, files: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    result = start_within(limit, "check", bundle_file)
    assert "Traceback" not in result.stderr
    if result.returncode:
        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1
        assert "open files" in result.stderr
