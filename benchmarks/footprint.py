"""What one distribution costs on disk, with everything it requires: packages and megabytes.

Run by the interpreter of the environment in question: `python footprint.py edge-runtime`.  With
`--device PYTHON --build PYTHON --out footprint.json` it compares the two environments.

Counts the distribution and the closure of its requirements, so that tools that happen to be
installed beside it (pytest, ruff, pip) do not count.
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

# Required by onnxruntime, so it is wherever edge-runtime is.
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("distribution", nargs="?", help="measure it here, and print JSON")
    parser.add_argument("--packages", action="store_true", help="print their number alone")
    parser.add_argument("--device", metavar="PYTHON", help="of the device's environment")
    parser.add_argument("--build", metavar="PYTHON", help="of one with scikit-learn")
    parser.add_argument("--out", metavar="JSON", type=Path, help="write what the two have here")
    asked = parser.parse_args()
    if asked.distribution:
        sizes = footprint(asked.distribution)
        print(len(sizes["packages"]) if asked.packages else json.dumps(sizes))
        return
    figures = {
        "device": _measured_by(asked.device, "edge-runtime"),
        "build machine, scikit-learn alone": _measured_by(asked.build, "scikit-learn"),
    }
    machine = json.dumps({"figures": figures, "machine": measuring.machine()}, indent=1)
    asked.out.write_text(machine + "\n", encoding="utf-8")


def footprint(name: str) -> dict[str, Any]:
    """Megabytes of the distribution *name* and of each that it needs, in this environment."""
    sizes = {key: size_bytes(item) for key, item in sorted(closure(name).items())}
    each = {key: round(size / 1e6, 1) for key, size in sizes.items()}
    return {"packages": each, "installed_mb": round(sum(sizes.values()) / 1e6, 1)}


def show(figures: dict[str, Any]) -> str:
    """Both sides, the largest packages first."""
    sides = []
    for found in figures.values():
        largest = sorted(found["packages"].items(), key=lambda item: -item[1])
        lines = [(name, f"{size:.1f}") for name, size in largest]
        sides.append([*lines, ("**sum**", f"**{found['installed_mb']:.1f}**")])
    longest = max(map(len, sides))
    # The sums stand in one line.
    filled = [[*side[:-1], *[("", "")] * (longest - len(side)), side[-1]] for side in sides]
    heads = [cell for name in figures for cell in (name, "MB")]
    return measuring.table([heads, *([*a, *b] for a, b in zip(*filled, strict=True))])


def _measured_by(python: str, name: str) -> Any:
    done = subprocess.run([python, __file__, name], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"edge: {python} cannot measure {name}:\n{done.stderr}")
    return json.loads(done.stdout)


def closure(name: str) -> dict[str, Distribution]:
    """The distribution *name* and all that it needs here, by canonical name."""
    found: dict[str, Distribution] = {}
    wanted = [Requirement(name)]
    while wanted:
        requirement = wanted.pop()
        key = canonicalize_name(requirement.name)
        if key in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            found[key] = distribution(key)
        except PackageNotFoundError:
            sys.exit(f"edge: {key} is not installed in {sys.prefix}")
        wanted += [Requirement(text) for text in found[key].requires or ()]
    return found


def size_bytes(item: Distribution) -> int:
    """Bytes of the installed files; those of the source folder when it is editable."""
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
