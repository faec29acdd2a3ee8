"""Return freed memory to the operating system before onnxruntime needs much of it."""

from __future__ import annotations

import ctypes

__all__ = ["return_freed_memory"]


def return_freed_memory() -> None:
    """Return what was freed, where the C library can: glibc keeps it for later.

    onnxruntime takes 25 times the bytes of a forest while it loads it.  What conversion and proof
    have freed, 300 MB of 2.3 million nodes, would come on top (measured).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
