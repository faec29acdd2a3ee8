"""Prove, with the interpreter that runs this, that nothing of the build machine can be imported.

Run by `make demo` and `make test` inside the device's environments.  Prints one line for each
fact; exits 1 with the offending module named.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ABSENT = ("sklearn", "scipy", "pandas", "onnx", "skl2onnx", "edge_pipeline")


def main() -> int:
    """Try every import that a device must not need."""
    # `python tools/prove_bare.py` puts only tools/ on the path, so what is imported here is
    # what is installed.
    present = [name for name in ABSENT if _can_import(name)]
    if present:
        print(f"edge: {sys.prefix} holds {', '.join(present)}: not a device", file=sys.stderr)
        return 1
    print(f"not importable here: {', '.join(ABSENT)}")
    runtime = importlib.import_module("edge_runtime")
    where = Path(str(runtime.__file__)).resolve()
    if not where.is_relative_to(Path(sys.prefix).resolve()):
        print(f"edge: edge_runtime comes from {where}, not from its wheel", file=sys.stderr)
        return 1
    print(f"edge_runtime comes from its wheel: {where.relative_to(Path(sys.prefix).resolve())}")
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
