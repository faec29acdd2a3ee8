"""Test the models and the device with every Python and onnxruntime of this machine.

    python tools/matrix.py dist/wheel/*.whl dist/*.onnx [--python P ...] [--onnxruntime SPEC ...]

For each pair it makes an environment with the wheel, numpy, onnxruntime and pytest, and runs
`edge-runtime check` on every model and tests/device.  It prints a Markdown table and, with --out,
writes JSON.  Exits with 1 when a pair fails.  A pair without an onnxruntime wheel is reported as
absent and does not fail.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ONNXRUNTIMES = ("~=1.28.0", ">=1.28")
"""The oldest supported release and the newest."""


def main() -> int:
    """Test every pair; return 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="of edge-runtime")
    parser.add_argument("models", type=Path, nargs="+", help="bundles")
    parser.add_argument("--python", nargs="+", default=None, help="interpreters")
    parser.add_argument("--onnxruntime", nargs="+", default=ONNXRUNTIMES, help="version specifiers")
    parser.add_argument("--folder", type=Path, default=ROOT / ".matrix", help="for environments")
    parser.add_argument("--out", type=Path, help="write JSON here")
    arguments = parser.parse_args()
    pythons = arguments.python or find_pythons()
    results = [
        test_pair(python, spec, arguments.wheel, arguments.models, arguments.folder)
        for python in pythons
        for spec in arguments.onnxruntime
    ]
    print(table(results))
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 1 if any(result["failed"] for result in results) else 0


def find_pythons() -> list[str]:
    """Find one interpreter for each supported version, on the path or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    interpreters = []
    for version in PYTHONS:
        candidates = [*map(str, sorted(pyenv.glob(f"{version}.*/bin/python3")))]
        candidates.append(shutil.which(f"python{version}") or "")
        works = [path for path in candidates if path and _version(path).startswith(version)]
        if works:
            interpreters.append(works[0])
        else:
            print(f"edge: no Python {version} on this machine", file=sys.stderr)
    return interpreters


def test_pair(
    python: str, spec: str, wheel: Path, models: Sequence[Path], folder: Path
) -> dict[str, Any]:
    """Test one pair; return versions, golden rows, the last line of pytest and the failures."""
    version = _version(python)
    environment = folder / f"{version}-{spec.translate(str.maketrans('', '', '<>=~!.*, '))}"
    result: dict[str, Any] = {"python": version, "wanted": spec, "models": {}, "failed": []}
    shutil.rmtree(environment, ignore_errors=True)
    _run([python, "-m", "venv", environment])
    inner = environment / "bin/python"
    install: list[str | Path] = [inner, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    process = _run([*install, wheel, f"onnxruntime{spec}", "pytest"], check=False)
    if process.returncode:
        result["absent"] = (process.stderr.strip().splitlines() or ["?"])[-1][:200]
        return result
    names = "import importlib.metadata as m; print(m.version('onnxruntime'), m.version('numpy'))"
    result["onnxruntime"], result["numpy"] = _run([inner, "-c", names]).stdout.split()
    for model in models:
        process = _run([environment / "bin/edge-runtime", "check", model, "--json"], check=False)
        rows = json.loads(process.stdout)["golden_rows"] if not process.returncode else 0
        result["models"][model.stem] = rows
        if not rows:
            result["failed"].append(f"{model.stem}: {process.stderr.strip()[:300]}")
    process = _run([inner, "-m", "pytest", "-q", "tests/device"], check=False)
    result["tests"] = (process.stdout.strip().splitlines() or ["nothing"])[-1]
    if process.returncode:
        result["failed"].append(process.stdout[-2000:])
        print(process.stdout[-4000:], file=sys.stderr)
    return result


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table with a line for each pair."""
    lines = [
        "| Python | onnxruntime | numpy | golden rows predicted | tests of the device |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        if "absent" in result:
            lines.append(f"| {result['python']} | {result['wanted']} | | no wheel for it | |")
            continue
        rows = ", ".join(f"{name} {n}" for name, n in result["models"].items())
        tests = result["tests"].strip("= ").partition(" in ")[0]
        lines.append(
            f"| {result['python']} | {result['onnxruntime']} | {result['numpy']} | {rows} | "
            f"{tests}{' **FAILED**' if result['failed'] else ''} |"
        )
    return "\n".join(lines)


def _version(python: str) -> str:
    process = _run([python, "-c", "import platform; print(platform.python_version())"], check=False)
    return process.stdout.strip()


def _run(command: Sequence[str | Path], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if check and process.returncode:
        sys.exit(f"edge: {' '.join(map(str, command))} failed:\n{process.stderr}")
    return process


if __name__ == "__main__":
    sys.exit(main())
