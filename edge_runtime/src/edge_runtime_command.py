"""The command ``edge-runtime``: settles what must be settled before numpy is imported."""

from __future__ import annotations

import os

__all__ = ["main"]


def main() -> int:
    """Run the command; see :mod:`edge_runtime.cli`.

    numpy's OpenBLAS starts a thread for every further core as it is imported, and each of them
    spins for some 90 ms: on two cores a command takes 270 ms of processor time with them, and 161
    without (measured).  Nothing here gains from them.  A program that imports edge_runtime may, and
    is left alone.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edge_runtime.cli import main as run  # which imports numpy

    return run()
