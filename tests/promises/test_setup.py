"""The set-up names a missing tool and its remedy in one line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def interpreter(path: Path, *, refuses: str, says: str = "") -> Path:
    """Write an interpreter that fails one of the checks of the set-up."""
    path.write_text(
        f'#!/bin/sh\ncase "$2" in *{refuses}*) exit 1;; esac\n'
        + (f"echo {says}\n" if says else f'exec "{sys.executable}" "$@"\n'),
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def set_up(folder: Path, python: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", ROOT / "tools/setup.sh", folder / "environment"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("refuses", "says", "words"),
    [
        ("sys.exit", "3.9", ["is Python 3.9", "3.11 or newer", "make PYTHON="]),
        ("ensurepip", "", ["cannot make virtual environments", "apt-get install python3-venv"]),
    ],
)
def test_an_unsuitable_interpreter_is_named_with_the_remedy(
    tmp_path: Path, refuses: str, says: str, words: list[str]
) -> None:
    process = set_up(tmp_path, interpreter(tmp_path / "my python", refuses=refuses, says=says))
    assert process.returncode == 1
    assert len(process.stderr.splitlines()) == 1
    assert [word for word in ["my python", *words] if word not in process.stderr] == []
    assert not (tmp_path / "environment").exists()


def test_a_missing_interpreter_is_named_in_one_line(tmp_path: Path) -> None:
    process = set_up(tmp_path, "no-such-python")
    assert process.returncode == 1
    assert process.stderr == (
        "edge: no 'no-such-python' on this machine; install Python 3.11 or newer, "
        "or name one: make PYTHON=/path/to/python3\n"
    )


def test_make_help_lists_the_commands_of_the_readme() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make on this machine")
    process = subprocess.run([make, "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in ("demo", "test", "bench", "check", "clean", "setup"):
        assert f"make {name} " in process.stdout
