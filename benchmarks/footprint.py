"""Measure the installed size of a distribution with all its requirements.

Run it with the interpreter of the environment: `python footprint.py edge-runtime`.  With
`--device PYTHON --build PYTHON --out footprint.json` it compares two environments.

It counts the distribution and its requirements, direct and indirect; other tools in the
environment (pytest, ruff, pip) do not count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import measuring

# onnxruntime requires it, so every environment with edge-runtime has it.
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("distribution", nargs="?", help="measure it here, and print JSON")
    parser.add_argument("--packages", action="store_true", help="print their number alone")
    parser.add_argument("--device", metavar="PYTHON", help="of the device's environment")
    parser.add_argument("--build", metavar="PYTHON", help="of one with scikit-learn")
    parser.add_argument("--out", metavar="JSON", type=Path, help="write what the two have here")
    options = parser.parse_args()
    if options.distribution:
        sizes = footprint(options.distribution)
        print(len(sizes["packages"]) if options.packages else json.dumps(sizes))
        return
    figures = {
        "device": _measure_with(options.device, "edge-runtime"),
        "build machine, scikit-learn alone": _measure_with(options.build, "scikit-learn"),
    }
    machine = json.dumps({"figures": figures, "machine": measuring.machine()}, indent=1)
    options.out.write_text(machine + "\n", encoding="utf-8")


def footprint(name: str) -> dict[str, Any]:
    """Compute the megabytes of the distribution *name* and of its requirements."""
    sizes = {key: size_bytes(item) for key, item in sorted(closure(name).items())}
    each = {key: round(size / 1e6, 1) for key, size in sizes.items()}
    return {"packages": each, "installed_mb": round(sum(sizes.values()) / 1e6, 1)}


def show(figures: dict[str, Any]) -> str:
    """Write both environments as a table, the largest packages first."""
    sides = []
    for environment in figures.values():
        largest = sorted(environment["packages"].items(), key=lambda item: -item[1])
        lines = [(name, f"{size:.1f}") for name, size in largest]
        sides.append([*lines, ("**sum**", f"**{environment['installed_mb']:.1f}**")])
    longest = max(map(len, sides))
    # Put both sums into the same line.
    filled = [[*side[:-1], *[("", "")] * (longest - len(side)), side[-1]] for side in sides]
    heads = [cell for name in figures for cell in (name, "MB")]
    return measuring.table([heads, *([*a, *b] for a, b in zip(*filled, strict=True))])


def _measure_with(python: str, name: str) -> Any:
    result = subprocess.run([python, __file__, name], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"edge: {python} cannot measure {name}:\n{result.stderr}")
    return json.loads(result.stdout)


def closure(name: str) -> dict[str, Distribution]:
    """Find the distribution *name* and its installed requirements, by canonical name."""
    distributions: dict[str, Distribution] = {}
    requirements = [Requirement(name)]
    while requirements:
        requirement = requirements.pop()
        key = canonicalize_name(requirement.name)
        if key in distributions or (
            requirement.marker and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        try:
            distributions[key] = distribution(key)
        except PackageNotFoundError:
            sys.exit(f"edge: {key} is not installed in {sys.prefix}")
        requirements += [Requirement(text) for text in distributions[key].requires or ()]
    return distributions


def size_bytes(item: Distribution) -> int:
    """Sum the installed files, and the source files of an editable installation."""
    installed = sum(_stat(Path(str(file.locate()))) for file in item.files or ())
    origin = json.loads(item.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        source = Path(unquote(urlsplit(origin["url"]).path)) / "src"
        installed += sum(_stat(file) for file in source.rglob("*.py"))
    return installed


def _stat(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


if __name__ == "__main__":
    main()
