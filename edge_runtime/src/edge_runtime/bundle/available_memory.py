"""Find how much memory this process can get, and refuse a file that is too large for it.

Without this, Linux would kill the process in the middle of a load, without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge_runtime.bundle.regular_file import read_regular
from edge_runtime.errors import NotEnoughMemoryError

__all__ = ["BASE_BYTES", "COPIES", "available_bytes", "check_fits"]

COPIES = 4
"""Bytes of memory that a load takes for each byte of a file of weights: the file's bytes, those in
the page cache, onnxruntime's copy of the message, and its tensors.  A forest takes more."""

BASE_BYTES = 40 << 20
"""Memory that Python, numpy and onnxruntime take besides.  With both figures, the largest file that
is not refused (117 MB) loads in a control group of 512 MB, and the first that Linux kills there has
124 MB (measured on onnxruntime 1.32)."""

_MAX_BYTES = 1 << 16


def check_fits(file_bytes: int, name: str) -> None:
    """Refuse a file that cannot fit in memory.

    Raises
    ------
    NotEnoughMemoryError
        The message has both sizes and the remedy.
    """
    available, needed = available_bytes(), COPIES * file_bytes + BASE_BYTES
    if available is not None and needed > available:
        raise NotEnoughMemoryError(
            f"not enough memory to load {name:.200}: its {file_bytes >> 20:,} MB take "
            f"{needed >> 20:,} MB while they are loaded, and {available >> 20:,} MB "
            "are available; end other programs, or build a smaller model"
        )


def available_bytes(proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> int | None:
    """Return the memory and swap that are available, or the limit of this control group if lower.

    None where neither is known.
    """
    sizes = dict(re.findall(r"^(\w+):\s+([0-9]{1,15}) kB$", _text(f"{proc}/meminfo"), re.MULTILINE))
    sizes_in_bytes = [int(limit) for limit in _group_limits(proc, cgroups)]
    if "MemAvailable" in sizes:
        sizes_in_bytes.append((int(sizes["MemAvailable"]) + int(sizes.get("SwapFree", 0))) * 1024)
    return min(sizes_in_bytes, default=None)


def _group_limits(proc: str, cgroups: str) -> Iterator[str]:
    """Yield the limits of this process's control group, and of the groups around it."""
    for line in _text(f"{proc}/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        folder = f"{cgroups}/memory" if controllers else cgroups
        file = "memory.limit_in_bytes" if controllers else "memory.max"
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):
            limit = _text("/".join([folder, *parts[:depth], file])).strip()
            if limit.isdecimal():  # "max" means none
                yield limit


def _text(path: str) -> str:
    """Read a small file of the kernel; empty where there is none."""
    try:
        raw = read_regular(path, max_bytes=_MAX_BYTES, error=OSError)
    except OSError:
        return ""
    return raw.decode("utf-8", "replace")
