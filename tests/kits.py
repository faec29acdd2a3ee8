"""Download wheels for tests/kit and tests/deploy, once for each checkout, and make small models.

Needs a package index, or the wheels of an earlier run in ``.cache/``; without either the tests are
skipped with a message.
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
"""Python version of kits for this machine."""

ROWS = "x\n1\n2\n"


def wheels_for(machine: str, python: str) -> Path:
    """Return a folder of wheels for *machine*, in the versions installed here."""
    requirements = [
        f"{name}=={importlib.metadata.version(name)}" for name in ("numpy", "onnxruntime")
    ]
    requirements += ["pip", "cryptography"]
    folder = (
        ROOT / ".cache" / "-".join(["wheels", machine, python, *requirements]).replace("==", "-")
    )
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest-xdist: one worker fetches
        if not (folder / ".complete").exists():
            _fetch(folder, machine, python, requirements)
            (folder / ".complete").touch()
    return folder


def _fetch(folder: Path, machine: str, python: str, requirements: list[str]) -> None:
    tags = [f"--platform=manylinux_2_{n}_{machine}" for n in (28, 27, 17)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--dest", str(folder), "--only-binary=:all:", "--implementation=cp"),
        *(
            f"--python-version={python}",
            *tags,
            f"--platform=manylinux2014_{machine}",
            *requirements,
        ),
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip(f"NO WHEELS FOR {machine}, NO KIT WAS TRIED: {process.stderr.strip()[-200:]}")


def line(folder: Path, slope: float, name: str = "line") -> Path:
    """Export a sealed model that predicts *slope* times x."""
    X = np.array([[1.0], [2.0], [3.0]])
    estimator = LinearRegression().fit(X, slope * X[:, 0])
    path = folder / f"{name}-{slope:g}.onnx"
    edge_pipeline.export(estimator, pd.DataFrame({"x": X[:, 0]}), path, name=name)
    return path


def machine_here() -> str:
    """Return the machine as uname prints it."""
    return platform.machine()
