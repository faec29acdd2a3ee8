"""Check that this interpreter cannot import any package of the build machine.

`make demo` and `make test` run it in the environments of the device.  It prints one line for each
fact, and exits with 1 when a package can be imported.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ABSENT = ("sklearn", "scipy", "pandas", "onnx", "skl2onnx", "edge_pipeline")


def main() -> int:
    """Import every package that a device must not have; return 1 if one is there."""
    # `python tools/prove_bare.py` puts only tools/ on the path, so only installed packages can
    # be imported.
    present = [name for name in ABSENT if _can_import(name)]
    if present:
        print(f"edge: {sys.prefix} holds {', '.join(present)}: not a device", file=sys.stderr)
        return 1
    print(f"not importable here: {', '.join(ABSENT)}")
    runtime = importlib.import_module("edge_runtime")
    location = Path(str(runtime.__file__)).resolve()
    if not location.is_relative_to(Path(sys.prefix).resolve()):
        print(f"edge: edge_runtime comes from {location}, not from its wheel", file=sys.stderr)
        return 1
    print(f"edge_runtime comes from its wheel: {location.relative_to(Path(sys.prefix).resolve())}")
    return 0


def _can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
