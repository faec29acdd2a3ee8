"""Test a slim runtime on this machine: golden rows bit for bit, and the tests of the device.

    python tools/prove_slim.py MODEL.onnx...

Makes a slim kit for this machine and installs it.  Every model must predict its golden rows exactly
as with the full onnxruntime and numpy of this Python.  Then tests/device runs on the slim runtime.
Needs a package index.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import edge_pipeline

ROOT = Path(__file__).resolve().parents[1]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
BORROWED = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")

PREDICT_GOLDEN_ROWS = """
import sys
import edge_runtime
from edge_runtime.bundle.manifest import cell_from_json
with edge_runtime.load(sys.argv[1]) as model:
    names = model.schema.names
    rows = [dict(zip(names, map(cell_from_json, row))) for row in model.manifest.golden.rows]
    if model.schema.kind not in ("dicts", "lists"):
        for output in model.manifest.outputs:
            print(output.method, getattr(model, output.method)(rows).tolist())
"""


def main() -> int:
    """Run both tests; return 1 if one fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = _install(folder, Path(sys.argv[1]))
        for model in sys.argv[1:]:
            outputs = [_predictions(program, model) for program in (Path(sys.executable), python)]
            if outputs[0] != outputs[1]:
                print(f"edge: {model} predicts differently on the slim runtime", file=sys.stderr)
                return 1
            print(f"{model}: golden rows equal bit for bit, full and slim")
        for module in BORROWED:
            _borrow(module, folder / "borrowed")
        environment = {**os.environ, "PYTHONPATH": str(folder / "borrowed")}
        tests: list[str | Path] = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/device",
        ]
        return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode


def _install(folder: Path, model: Path) -> Path:
    """Install a slim runtime, and return its interpreter."""
    kit = edge_pipeline.make_kit(
        model, folder / "kit.tar.gz", platform="x86-64", python=PYTHON, slim=True
    )
    for package in kit.packages:
        print(f"{package.name} {package.version}: {package.installed_bytes / 1e6:.1f} MB")
    with tarfile.open(kit.path) as archive:
        archive.extractall(folder, filter="data")
    install: list[str | Path] = [folder / f"{kit.name}-kit/install.sh", "--folder", folder / "edge"]
    environment = {**os.environ, "EDGE_PYTHON": sys.executable}
    subprocess.run(["sh", *install], env=environment, check=True, stdout=subprocess.DEVNULL)
    return folder / "edge/runtime/bin/python"


def _predictions(python: Path, model: str) -> str:
    command: list[str | Path] = [python, "-c", PREDICT_GOLDEN_ROWS, model]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    return process.stdout


def _borrow(module: str, folder: Path) -> None:
    """Link a module into *folder*, to import it in the slim runtime without installing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return
    folder.mkdir(exist_ok=True)
    path = Path(spec.origin)
    path = path.parent if path.name == "__init__.py" else path
    (folder / path.name).symlink_to(path)


if __name__ == "__main__":
    sys.exit(main())
