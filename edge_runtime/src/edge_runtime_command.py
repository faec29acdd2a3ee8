"""Start the command ``edge-runtime``: set what must be set before numpy is imported.

This module needs the standard library alone, so that it can say why numpy or onnxruntime is not
there.
"""

from __future__ import annotations

import errno
import os
import sys

__all__ = ["explain_import_error", "is_memory_error", "main", "memory_remedy"]


NEEDED_MB = 160
"""Address space for Python, numpy, onnxruntime and a small model (measured on x86-64)."""


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
    except Exception as error:  # a damaged file may raise anything
        return _refuse(error)
    try:
        return run()
    except (ImportError, MemoryError, OSError) as error:  # raised again while it was reported
        return _refuse(error)
    except Exception:
        # The standard library turns a lack of memory into other errors: hashlib without sha256.
        limit = _address_space_limit()
        if limit is None or limit >= NEEDED_MB << 20:
            raise
        return _refuse(MemoryError())


def explain_import_error(error: BaseException) -> str:
    """Return why a package cannot be imported, and what to do about it.

    Examples: numpy or onnxruntime is missing, damaged, built for another system, or there is not
    enough memory for it.
    """
    return "; ".join(_reason_and_remedy(error))


def is_memory_error(error: BaseException) -> bool:
    """Return whether an import failed for want of memory."""
    cause = _first_cause(error)
    if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM:
        return True
    reason = str(cause)
    if "Cannot allocate memory" in reason or "cannot allocate memory" in reason:
        return True
    return "failed to map segment" in reason and not _is_on_noexec_mount(reason)


def memory_remedy() -> str:
    """Return what to do if there is not enough memory."""
    limit = _address_space_limit()
    if limit is None:
        return "end other programs, or use a smaller model or --chunk"
    return (
        f"this process may have {limit / 2**20:,.0f} MB of address space (ulimit -v); "
        f"{NEEDED_MB} MB are needed at least; raise it, or use a smaller model or --chunk"
    )


def _address_space_limit() -> int | None:
    # The module resource is a library, for which there may be no memory.
    try:
        with open("/proc/self/limits", encoding="ascii") as file:
            for line in file:
                if line.startswith("Max address space"):
                    number = line.split()[3]
                    return int(number) if number.isdigit() else None
    except (OSError, ValueError, MemoryError):
        pass
    return None


def _reason_and_remedy(error: BaseException) -> tuple[str, str]:
    cause = _first_cause(error)
    reason = " ".join(str(cause).split())[:300]
    if not reason:
        reason = "out of memory" if isinstance(cause, MemoryError) else type(cause).__name__
    return reason, _remedy(cause, reason)


def _remedy(cause: BaseException, reason: str) -> str:
    if is_memory_error(cause):
        return memory_remedy()
    if getattr(cause, "errno", None) == errno.EMFILE or "Too many open files" in reason:
        return "allow more open files: ulimit -n 64"
    if "failed to map segment" in reason or "Operation not permitted" in reason:
        return "the folder is mounted noexec; install into another one, or mount it with exec"
    if "GLIBC" in reason:
        return "this system is older than the package needs; install an older release of it"
    if "cannot open shared object file" in reason:
        return "install the system's package that has this library"
    is_damaged = isinstance(cause, AttributeError | SyntaxError | ValueError)
    if is_damaged or any(sign in reason for sign in _SIGNS_OF_DAMAGE):
        return (
            "a file of it is damaged or belongs to another version; "
            "pip install --force-reinstall numpy onnxruntime"
        )
    return "install edge-runtime and numpy anew"


_SIGNS_OF_DAMAGE = (
    *("file too short", "ELF", "undefined symbol", "cannot import name"),
    *("No module named 'numpy.", "No module named 'onnxruntime."),
)


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:  # numpy's own message is two pages long
        error = error.__cause__
    return error


def _is_on_noexec_mount(reason: str) -> bool:
    """Return whether the library whose name begins *reason* lies where nothing may be run."""
    if "Operation not permitted" in reason:
        return True
    try:
        return bool(os.statvfs(reason.partition(":")[0]).f_flag & os.ST_NOEXEC)
    except (OSError, AttributeError):
        return False


def _refuse(error: BaseException) -> int:
    reason, remedy = _reason_and_remedy(error)
    # ascii: the filter of edge_runtime.cli.console is not there yet.
    message = ascii(f"edge-runtime: cannot start ({reason}); {remedy}")[1:-1]
    if sys.stderr is not None:
        print(message, file=sys.stderr)
    return 1
