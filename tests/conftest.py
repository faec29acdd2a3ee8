"""Share fixtures; import nothing but pytest, because tests/device runs without the build side."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before scikit-learn is imported: there is a worker for each core, and on top of them OpenMP's
# threads wait for one another. A histogram booster's test takes a third of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the repository."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def separate_user_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hide the trusted keys of the person who runs the tests from the commands."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    # And do not let expected failures replace the log of a real one.
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def in_new_process(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run Python source in a new interpreter, and return its output."""

    def run(
        source: str, *arguments: str | Path, folder: Path | None = None, **environment: str
    ) -> str:
        inherited = {
            name: value
            for name, value in os.environ.items()
            # The tests check whether our packages set the first of these.
            if name not in ("ORT_DISABLE_TELEMETRY", "PYTHONPATH", "PYTHONHASHSEED")
        }
        process = subprocess.run(
            [sys.executable, "-W", "error", "-c", source, *map(str, arguments)],
            cwd=folder or tmp_path_factory.mktemp("process"),
            env={**inherited, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run
