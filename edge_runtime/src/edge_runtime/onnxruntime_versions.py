"""Which onnxruntime may run a bundle: a table of the ones that must not, and the check.

Never imports onnxruntime: one of the refused versions kills the process when it is imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Mapping, Sequence
from importlib.machinery import PathFinder
from typing import Any

from edge_runtime.errors import UnsupportedRuntimeError
from edge_runtime.records import record

__all__ = [
    "DENIED",
    "NEWEST_OPSETS",
    "OLDEST_ONNXRUNTIME",
    "Denied",
    "check_opsets",
    "check_version",
    "cpu_features",
    "installed_onnxruntime",
]

OLDEST_ONNXRUNTIME = "1.28.0"
"""Oldest release that this runtime is tested with."""

NEWEST_OPSETS: Mapping[str, int] = {"": 26, "ai.onnx.ml": 5, "com.microsoft": 1}
"""Operator sets that :data:`OLDEST_ONNXRUNTIME` and all later releases run (measured)."""


@record(frozen=True, slots=True)
class Denied:
    """A release of onnxruntime that answers wrongly or crashes.

    Attributes
    ----------
    version
        The release.
    machine
        ``platform.machine()`` it concerns, or None for all.
    fault
        What it does.
    issue
        Number in onnxruntime's issue tracker.
    instead
        The release to install.
    needs
        The CPU feature, as /proc/cpuinfo spells it, that its wheel takes for granted: a CPU that
        has it runs the release.  None: the fault is there on every CPU.
    """

    version: str
    machine: str | None
    fault: str
    issue: int
    instead: str
    needs: str | None = None


DENIED: tuple[Denied, ...] = (
    Denied("1.26.0", None, "answers binary forests wrongly", 28557, "1.26.1 or later"),
    # Its first instruction that works in half precision (FEAT_FP16) ends a Cortex-A53 or A72, hence
    # a Raspberry Pi Zero 2 W, 3 or 4; docs/arm.md shows it.
    Denied(
        "1.21.0",
        "aarch64",
        "dies of an illegal instruction when a Raspberry Pi Zero 2 W, 3 or 4 imports it, whose CPU "
        "lacks half precision",
        23957,
        "1.21.1 or later",
        "asimdhp",
    ),
)


def check_version(
    version: str,
    machine: str,
    required: str,
    *,
    denied: Sequence[Denied] = DENIED,
    features: Container[str] | None = None,
) -> None:
    """Refuse an onnxruntime that must not, or cannot, run a bundle.

    Parameters
    ----------
    version, machine
        Of the installed onnxruntime, and ``platform.machine()``.
    required
        Oldest release that the bundle's manifest names.
    denied
        Releases that must not be used.
    features
        What the CPU can do; None asks /proc/cpuinfo, and only if a denied release is installed.

    Raises
    ------
    UnsupportedRuntimeError
        With the release to install.
    """
    found = _release(version)
    for entry in denied:
        if found == _release(entry.version) and entry.machine in (None, machine):
            if entry.needs in (cpu_features() if features is None else features):
                continue
            raise UnsupportedRuntimeError(
                f"onnxruntime {version} {entry.fault} (microsoft/onnxruntime#{entry.issue}); "
                f"install {entry.instead}"
            )
    oldest = max(required, OLDEST_ONNXRUNTIME, key=_release)
    if not found >= _release(oldest):
        raise UnsupportedRuntimeError(
            f"onnxruntime {version} is installed, expected {oldest} or later; "
            f"pip install 'onnxruntime>={oldest}'"
        )


def check_opsets(opsets: Mapping[str, int]) -> None:
    """Refuse operator sets that are unknown, or newer than every supported onnxruntime runs.

    Parameters
    ----------
    opsets
        Domain to version; the domain of ONNX's own operators is empty.

    Raises
    ------
    UnsupportedRuntimeError
        With the domain, both versions and the remedy.
    """
    for domain, version in opsets.items():
        newest = NEWEST_OPSETS.get(domain)
        if newest is None:
            raise UnsupportedRuntimeError(
                f"the graph needs the operators {domain!r:.80}, expected some of "
                f"{', '.join(name or 'ai.onnx' for name in NEWEST_OPSETS)}; build the model again"
            )
        if not 1 <= version <= newest:
            raise UnsupportedRuntimeError(
                f"the graph needs version {version} of the operators {domain or 'ai.onnx'}, this "
                f"runtime knows 1 to {newest}; update edge-runtime and onnxruntime on the device, "
                "or build the model for them"
            )


def cpu_features() -> frozenset[str]:
    """What the first CPU can do, in the words of Linux; empty where nothing tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            told = re.search(r"^(?:Features|flags)\s*:(.*)$", file.read(1 << 20), re.MULTILINE)
    except OSError:
        return frozenset()
    return frozenset(told[1].split()) if told else frozenset()


def installed_onnxruntime() -> str:
    """The version of the onnxruntime that an import would find.

    Raises
    ------
    UnsupportedRuntimeError
        None is installed.
    """
    # importlib.util, which asks other finders too, takes 0.3 ms to import.
    spec = PathFinder.find_spec("onnxruntime") or _found_otherwise("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        raise UnsupportedRuntimeError("onnxruntime is not installed; pip install onnxruntime")
    # The folder's name tells the version as importlib.metadata does, whose import alone costs
    # more than making a small session (15 ms against 3 ms).
    site = os.path.dirname(spec.submodule_search_locations[0])
    found = [told for name in os.listdir(site) if (told := _version_in(name))]
    if len(found) == 1:
        return found[0]
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("onnxruntime")
    except PackageNotFoundError as error:
        raise UnsupportedRuntimeError(
            "the installed onnxruntime does not tell its version; pip install onnxruntime"
        ) from error


def _found_otherwise(name: str) -> Any:
    from importlib.util import find_spec

    return find_spec(name)


def _version_in(folder: str) -> str:
    """Of onnxruntime or a variant, onnxruntime_gpu say, from its dist-info folder's name, or ""."""
    name, dash, rest = folder.partition("-")
    version = rest.removesuffix(".dist-info")
    if not name.startswith("onnxruntime") or not dash or version == rest or "-" in version:
        return ""
    variant = name.removeprefix("onnxruntime")
    is_one = not variant or (variant[0] == "_" and variant.replace("_", "").isalpha())
    return version if is_one and version[:1].isdigit() else ""


def _release(version: str) -> tuple[int, int, int]:
    """Major, minor and micro number; what follows them (rc1, dev, +cu12) does not count."""
    numbers: list[int] = []
    for part in version.split(".")[:3]:
        # The digits in front: of "0rc1" the zero.
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not 1 <= len(digits) <= _MAX_RELEASE_DIGITS:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    if not numbers:
        raise UnsupportedRuntimeError(f"{version!r} is no version of onnxruntime")
    major, minor, micro = (*numbers, 0, 0)[:3]
    return major, minor, micro


_MAX_RELEASE_DIGITS = 6
