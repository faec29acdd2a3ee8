"""Test that the command starts without numpy's threads, unless the user asks for them."""

import os
import subprocess
import sys
from pathlib import Path

import edge_runtime_command
import pytest

PRINT_THREADS = """
import os, sys
import edge_runtime_command
sys.argv = ["edge-runtime", "--version"]
code = edge_runtime_command.main()
print(code, len(os.listdir("/proc/self/task")))
"""


@pytest.mark.parametrize(("set_to", "expected"), [(None, "1"), ("3", "3")])
def test_the_command_uses_one_thread_unless_configured(
    set_to: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if set_to is None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")  # restored to what it was, afterwards
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    else:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", set_to)
    settings = []

    def main() -> int:
        settings.append(os.environ["OPENBLAS_NUM_THREADS"])
        return 7

    monkeypatch.setattr("edge_runtime.cli.main.main", main)
    assert edge_runtime_command.main() == 7
    assert settings == [expected]


def test_the_command_starts_no_thread() -> None:
    environment = {key: os.environ[key] for key in os.environ if key != "OPENBLAS_NUM_THREADS"}
    result = subprocess.run(
        [sys.executable, "-c", PRINT_THREADS],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split()[-2:] == ["0", "1"]


def test_the_script_is_this_function() -> None:
    script = Path(sys.executable).with_name("edge-runtime")
    assert "from edge_runtime_command import main" in script.read_text()


START_WITHOUT_NUMPY = """
import sys
class Finder:
    def find_spec(self, name, *more):
        if name == "numpy":
            raise {error}
sys.meta_path.insert(0, Finder())
import edge_runtime_command
sys.exit(edge_runtime_command.main())
"""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("KeyboardInterrupt", 130, ""),
        (
            "ImportError('two\\nlines')",
            1,
            "edge-runtime: cannot start (two lines); install edge-runtime and numpy anew\n",
        ),
    ],
)
def test_a_failed_start_is_no_traceback(error: str, code: int, message: str) -> None:
    source = START_WITHOUT_NUMPY.format(error=error)
    result = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (code, "", message)
