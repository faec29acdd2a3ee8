"""The command ``edge-runtime``: settles what must be settled before numpy is imported."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command; see :mod:`edge_runtime.cli.main`.

    numpy's OpenBLAS starts a thread for every further core as it is imported, and each of them
    spins for some 90 ms: on two cores a command takes 270 ms of processor time with them, and 161
    without (measured).  Nothing here gains from them.  A program that imports edge_runtime may, and
    is left alone.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from edge_runtime.cli.main import main as run  # which imports numpy
    except KeyboardInterrupt:  # that takes a while: long enough for a Ctrl-C
        return 130
    except ImportError as error:
        return _refuse(error)
    return run()


def _refuse(error: ImportError) -> int:
    first: BaseException = error
    while first.__cause__ is not None:  # numpy's own text is two pages of advice about it
        first = first.__cause__
    why = " ".join(str(first).split())[:300]
    if sys.stderr is not None:
        told = f"edge-runtime: cannot start ({why}); install edge-runtime and numpy anew"
        print(told, file=sys.stderr)
    return 1
