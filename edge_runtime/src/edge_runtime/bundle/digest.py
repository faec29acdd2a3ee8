"""Compute a SHA-256 with the implementation that loads fastest for the size of the bytes."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["sha256"]

SMALL_BYTES = 1 << 20
"""Up to this size CPython's own SHA-256 is faster (3 ms) than loading OpenSSL, and 4 MB smaller."""

# CPython's random.py imports it so, too.  A failed import takes 0.2 ms, hence the version check.
_BUILT_IN = "_sha2" if sys.version_info >= (3, 12) else "_sha256"


def sha256(*parts: bytes | memoryview) -> str:
    """Hash *parts* one after the other; return lower-case hexadecimal."""
    is_large = sum(map(len, parts)) > SMALL_BYTES
    digest = _new_sha256(("hashlib",) if is_large else (_BUILT_IN, "hashlib"))
    for part in parts:
        digest.update(part)
    return str(digest.hexdigest())


def _new_sha256(modules: tuple[str, ...]) -> Any:
    """Return an empty SHA-256 of the first module that this Python has."""
    for name in modules[:-1]:
        try:
            return import_module(name).sha256()
        except ImportError:
            continue
    return import_module(modules[-1]).sha256()
