"""What tests/kit and tests/deploy share: wheels, fetched once for each checkout, and small models.

Needs a package index, or what an earlier run has fetched to ``.cache/``; without either the tests
are skipped, loudly.
"""

import fcntl
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

ROOT = Path(__file__).resolve().parents[1]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that kits for this machine are made for."""

ROWS = "x\n1\n2\n"


def wheels_for(machine: str, python: str) -> Path:
    """A folder of what a kit needs on *machine*, the versions that are installed here."""
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in ("numpy", "onnxruntime")]
    wanted += ["pip", "cryptography"]
    folder = ROOT / ".cache" / "-".join(["wheels", machine, python, *wanted]).replace("==", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest-xdist: one worker fetches
        if not (folder / ".complete").exists():
            _fetch(folder, machine, python, wanted)
            (folder / ".complete").touch()
    return folder


def _fetch(folder: Path, machine: str, python: str, wanted: list[str]) -> None:
    tags = [f"--platform=manylinux_2_{n}_{machine}" for n in (28, 27, 17)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--dest", str(folder), "--only-binary=:all:", "--implementation=cp"),
        *(f"--python-version={python}", *tags, f"--platform=manylinux2014_{machine}", *wanted),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NO WHEELS FOR {machine}, NO KIT WAS TRIED: {done.stderr.strip()[-200:]}")


def line(folder: Path, slope: float, name: str = "line") -> Path:
    """A sealed model whose answer to x is *slope* times x."""
    X = np.array([[1.0], [2.0], [3.0]])
    estimator = LinearRegression().fit(X, slope * X[:, 0])
    path = folder / f"{name}-{slope:g}.onnx"
    edge_pipeline.export(estimator, pd.DataFrame({"x": X[:, 0]}), path, name=name)
    return path


def machine_here() -> str:
    """As uname says."""
    return platform.machine()
