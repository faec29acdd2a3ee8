"""Prove the models and the device's tests with every Python and onnxruntime at hand.

    python tools/matrix.py dist/wheel/*.whl dist/*.onnx [--python P ...] [--onnxruntime SPEC ...]

Makes an environment of each pair with the wheel, numpy, onnxruntime and pytest; runs
`edge-runtime check` on every model and tests/device; prints a Markdown table and, with --out,
writes JSON.  Exits with 1 when a pair fails.  A pair for which there is no onnxruntime is said to
be absent, and fails nothing.
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
"""The oldest supported release, and the newest."""


def main() -> int:
    """Try every pair; 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="of edge-runtime")
    parser.add_argument("models", type=Path, nargs="+", help="bundles")
    parser.add_argument("--python", nargs="+", default=None, help="interpreters")
    parser.add_argument("--onnxruntime", nargs="+", default=ONNXRUNTIMES, help="version specifiers")
    parser.add_argument("--folder", type=Path, default=ROOT / ".matrix", help="for environments")
    parser.add_argument("--out", type=Path, help="write JSON here")
    chosen = parser.parse_args()
    pythons = chosen.python or found_pythons()
    results = [
        tried(python, spec, chosen.wheel, chosen.models, chosen.folder)
        for python in pythons
        for spec in chosen.onnxruntime
    ]
    print(table(results))
    if chosen.out:
        chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 1 if any(result["failed"] for result in results) else 0


def found_pythons() -> list[str]:
    """Interpreters on the path, and those of pyenv, one for each supported version."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = []
    for version in PYTHONS:
        candidates = [*map(str, sorted(pyenv.glob(f"{version}.*/bin/python3")))]
        candidates.append(shutil.which(f"python{version}") or "")
        works = [path for path in candidates if path and _version(path).startswith(version)]
        if works:
            found.append(works[0])
        else:
            print(f"edge: no Python {version} on this machine", file=sys.stderr)
    return found


def tried(
    python: str, spec: str, wheel: Path, models: Sequence[Path], folder: Path
) -> dict[str, Any]:
    """What one pair did: versions, models that answered, the tests' last line, what failed."""
    version = _version(python)
    place = folder / f"{version}-{spec.translate(str.maketrans('', '', '<>=~!.*, '))}"
    result: dict[str, Any] = {"python": version, "wanted": spec, "models": {}, "failed": []}
    shutil.rmtree(place, ignore_errors=True)
    _run([python, "-m", "venv", place])
    inner = place / "bin/python"
    install: list[str | Path] = [inner, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    done = _run([*install, wheel, f"onnxruntime{spec}", "pytest"], check=False)
    if done.returncode:
        result["absent"] = (done.stderr.strip().splitlines() or ["?"])[-1][:200]
        return result
    names = "import importlib.metadata as m; print(m.version('onnxruntime'), m.version('numpy'))"
    result["onnxruntime"], result["numpy"] = _run([inner, "-c", names]).stdout.split()
    for model in models:
        done = _run([place / "bin/edge-runtime", "check", model, "--json"], check=False)
        rows = json.loads(done.stdout)["golden_rows"] if not done.returncode else 0
        result["models"][model.stem] = rows
        if not rows:
            result["failed"].append(f"{model.stem}: {done.stderr.strip()[:300]}")
    done = _run([inner, "-m", "pytest", "-q", "tests/device"], check=False)
    result["tests"] = (done.stdout.strip().splitlines() or ["nothing"])[-1]
    if done.returncode:
        result["failed"].append(done.stdout[-2000:])
        print(done.stdout[-4000:], file=sys.stderr)
    return result


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line for each pair."""
    lines = [
        "| Python | onnxruntime | numpy | golden rows answered | tests of the device |",
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
    told = _run([python, "-c", "import platform; print(platform.python_version())"], check=False)
    return told.stdout.strip()


def _run(command: Sequence[str | Path], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"edge: {' '.join(map(str, command))} failed:\n{done.stderr}")
    return done


if __name__ == "__main__":
    sys.exit(main())
