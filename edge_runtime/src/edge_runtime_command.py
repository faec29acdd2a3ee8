"""Start the command ``edge-runtime``: set what must be set before numpy is imported."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command; see :mod:`edge_runtime.cli.main`.

    When numpy is imported, OpenBLAS starts a thread for every further core, and each spins for
    about 90 ms.  On two cores a command takes 270 ms of processor time with them, and 161 without
    (measured).  The command does not use them.  A program that imports edge_runtime may, so
    edge_runtime itself does not change the setting.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from edge_runtime.cli.main import main as run  # which imports numpy
    except KeyboardInterrupt:  # the import takes long enough for a Ctrl-C
        return 130
    except ImportError as error:
        return _refuse(error)
    return run()


def _refuse(error: ImportError) -> int:
    cause: BaseException = error
    while cause.__cause__ is not None:  # numpy's own message is two pages long
        cause = cause.__cause__
    reason = " ".join(str(cause).split())[:300]
    if sys.stderr is not None:
        message = f"edge-runtime: cannot start ({reason}); install edge-runtime and numpy anew"
        print(message, file=sys.stderr)
    return 1
