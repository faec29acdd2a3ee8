"""Start the command ``edge-runtime``: set what must be set before numpy is imported.

This module needs the standard library alone, so that it can say why numpy or onnxruntime is not
there.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from edge_runtime_startup import NEEDED_MB, address_space_limit, explain_import_error

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
        run = _import_command()
    except KeyboardInterrupt:  # the import takes long enough for a Ctrl-C
        return 130
    except Exception as error:  # a damaged file may raise anything
        return _refuse(error)
    try:
        return run()
    except (ImportError, MemoryError, OSError) as error:  # raised again while it was reported
        return _refuse(error)
    except Exception:
        # The standard library turns a lack of memory into other errors: hashlib without sha256.
        limit = address_space_limit()
        if limit is None or limit >= NEEDED_MB << 20:
            raise
        return _refuse(MemoryError())


def _import_command() -> Callable[[], int]:
    """Import numpy and the command.

    Where memory is limited, hashlib may log tracebacks when it is imported; nobody needs them.
    """
    if address_space_limit() is None:
        from edge_runtime.cli.main import main as run

        return run
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        import hashlib  # noqa: F401  (otherwise imported when a file is opened)

        from edge_runtime.cli.main import main as run
    finally:
        sys.stderr = stderr
    return run


def _refuse(error: BaseException) -> int:
    try:
        # ascii: the filter of edge_runtime.cli.console is not there yet.
        message = ascii(f"edge-runtime: cannot start ({explain_import_error(error, ')')}")[1:-1]
        if sys.stderr is not None:
            print(message, file=sys.stderr)
    except Exception:  # too little memory even for the message
        os.write(2, b"edge-runtime: cannot start (out of memory); end other programs\n")
    return 1
