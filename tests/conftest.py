"""What every test folder shares; imports nothing but pytest, since tests/device runs bare."""

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
    """The repository."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def no_keys_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The commands go by the user's trusted keys: not those of whoever runs the tests."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    # Nor shall failures that are wanted here replace the log of one that was not.
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def in_new_process(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run Python source in an interpreter of its own; give its output."""

    def run(
        source: str, *arguments: str | Path, folder: Path | None = None, **environment: str
    ) -> str:
        inherited = {
            name: value
            for name, value in os.environ.items()
            # The tests ask whether our packages set this one.
            if name not in ("ORT_DISABLE_TELEMETRY", "PYTHONPATH", "PYTHONHASHSEED")
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", source, *map(str, arguments)],
            cwd=folder or tmp_path_factory.mktemp("process"),
            env={**inherited, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
