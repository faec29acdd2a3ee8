"""What one distribution costs on disk, with everything it requires: packages and megabytes.

Run by the interpreter of the environment in question: `python footprint.py edge-runtime`.
Counts the distribution and the closure of its requirements, so that tools that happen to be
installed beside it (pytest, ruff, pip) do not count.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Required by onnxruntime, so it is wherever edge-runtime is.
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def main(arguments: list[str]) -> None:
    found = closure(arguments[0])
    if "--packages" in arguments:
        print(len(found))
        return
    sizes = {name: size_bytes(item) for name, item in sorted(found.items())}
    total = sum(sizes.values())
    each = {name: round(size / 1e6, 1) for name, size in sizes.items()}
    print(json.dumps({"packages": each, "installed_mb": round(total / 1e6, 1)}))


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
    main(sys.argv[1:])
