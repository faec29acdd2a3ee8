"""Explain why numpy or onnxruntime cannot be imported.

This module needs the standard library alone, and stands outside the package ``edge_runtime``, whose
import imports numpy.
"""

from __future__ import annotations

import errno
import os

__all__ = [
    "NEEDED_MB",
    "address_space_limit",
    "explain_import_error",
    "is_memory_error",
    "memory_remedy",
]

NEEDED_MB = 160
"""Address space for Python, numpy, onnxruntime and a small model (measured on x86-64)."""


def explain_import_error(error: BaseException, after_reason: str = "") -> str:
    """Return why a package cannot be imported, and what to do about it.

    Examples: numpy or onnxruntime is missing, damaged, built for another system, or there is not
    enough memory for it.
    """
    reason, remedy = _reason_and_remedy(error)
    return f"{reason}{after_reason}; {remedy}"


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
    limit = address_space_limit()
    if limit is None:
        return "end other programs, or use a smaller model or --chunk"
    return (
        f"this process may have {limit / 2**20:,.0f} MB of address space (ulimit -v); "
        f"{NEEDED_MB} MB are needed at least; raise it, or use a smaller model or --chunk"
    )


def address_space_limit() -> int | None:
    """Return the bytes of address space that this process may have; None without a limit."""
    # The module resource is a library, and text needs a codec: there may be no memory for either.
    try:
        descriptor = os.open("/proc/self/limits", os.O_RDONLY)
        try:
            lines = os.read(descriptor, 4096).splitlines()
        finally:
            os.close(descriptor)
        for line in lines:
            if line.startswith(b"Max address space"):
                number = line.split()[3]
                return int(number) if number.isdigit() else None
    except Exception:  # whatever CPython makes of a lack of memory: the message can do without
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
