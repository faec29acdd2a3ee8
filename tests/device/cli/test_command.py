"""The command starts without numpy's threads, and leaves what the user set."""

import os
import subprocess
import sys
from pathlib import Path

import edge_runtime_command
import pytest

TOLD = """
import os, sys
import edge_runtime_command
sys.argv = ["edge-runtime", "--version"]
code = edge_runtime_command.main()
print(code, len(os.listdir("/proc/self/task")))
"""


@pytest.mark.parametrize(("set_to", "expected"), [(None, "1"), ("3", "3")])
def test_the_number_of_threads_is_one_unless_it_was_set(
    set_to: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if set_to is None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")  # restored to what it was, afterwards
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    else:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", set_to)
    seen = []

    def main() -> int:
        seen.append(os.environ["OPENBLAS_NUM_THREADS"])
        return 7

    monkeypatch.setattr("edge_runtime.cli.main.main", main)
    assert edge_runtime_command.main() == 7
    assert seen == [expected]


def test_no_thread_is_started() -> None:
    environment = {key: os.environ[key] for key in os.environ if key != "OPENBLAS_NUM_THREADS"}
    found = subprocess.run(
        [sys.executable, "-c", TOLD], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split()[-2:] == ["0", "1"]


def test_the_script_is_this_function() -> None:
    script = Path(sys.executable).with_name("edge-runtime")
    assert "from edge_runtime_command import main" in script.read_text()


BEGINNING = """
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
    ("error", "code", "told"),
    [
        ("KeyboardInterrupt", 130, ""),
        (
            "ImportError('two\\nlines')",
            1,
            "edge-runtime: cannot start (two lines); install edge-runtime and numpy anew\n",
        ),
    ],
)
def test_a_start_that_is_interrupted_or_fails_is_no_traceback(
    error: str, code: int, told: str
) -> None:
    source = BEGINNING.format(error=error)
    found = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (code, "", told)
