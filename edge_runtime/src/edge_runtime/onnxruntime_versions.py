"""Check the version of onnxruntime: the releases that must not run a bundle, and why.

Never imports onnxruntime: one of the denied releases kills the process on import.
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
    "installed_distributions",
    "installed_onnxruntime",
    "is_installed",
]

OLDEST_ONNXRUNTIME = "1.28.0"
"""Oldest release that is tested."""

NEWEST_OPSETS: Mapping[str, int] = {"": 26, "ai.onnx.ml": 5, "com.microsoft": 1}
"""Operator sets that :data:`OLDEST_ONNXRUNTIME` and all later releases run (measured)."""


@record(frozen=True, slots=True)
class Denied:
    """A release of onnxruntime that predicts wrongly or crashes.

    Attributes
    ----------
    version
        The release.
    machine
        ``platform.machine()`` of the computers concerned, or None for all.
    fault
        The fault, as a verb phrase.
    issue
        Number in onnxruntime's issue tracker.
    instead
        The release to install.
    needs
        The CPU feature, as in /proc/cpuinfo, that the wheel requires without a check.  A CPU that
        has it runs the release.  None: the fault occurs on every CPU.
    """

    version: str
    machine: str | None
    fault: str
    issue: int
    instead: str
    needs: str | None = None


DENIED: tuple[Denied, ...] = (
    Denied("1.26.0", None, "predicts binary forests wrongly", 28557, "1.26.1 or later"),
    # Its first half-precision instruction (FEAT_FP16) kills the process on a Cortex-A53 or A72, and
    # so on a Raspberry Pi Zero 2 W, 3 or 4; see docs/arm.md.
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
        Version of the installed onnxruntime, and ``platform.machine()``.
    required
        Oldest release that the bundle's manifest names.
    denied
        Releases that must not be used.
    features
        Features of the CPU; None reads /proc/cpuinfo, but only if a denied release is installed.

    Raises
    ------
    UnsupportedRuntimeError
        The message names the release to install.
    """
    release = _release(version)
    for entry in denied:
        if release == _release(entry.version) and entry.machine in (None, machine):
            if entry.needs in (cpu_features() if features is None else features):
                continue
            raise UnsupportedRuntimeError(
                f"onnxruntime {version} {entry.fault} (microsoft/onnxruntime#{entry.issue}); "
                f"install {entry.instead}"
            )
    oldest = max(required, OLDEST_ONNXRUNTIME, key=_release)
    if not release >= _release(oldest):
        raise UnsupportedRuntimeError(
            f"onnxruntime {version} is installed, expected {oldest} or later; "
            f"pip install 'onnxruntime>={oldest}'"
        )


def check_opsets(opsets: Mapping[str, int]) -> None:
    """Refuse operator sets that are unknown, or newer than every supported onnxruntime runs.

    Parameters
    ----------
    opsets
        Domain to version; the domain of ONNX's own operators is "".

    Raises
    ------
    UnsupportedRuntimeError
        The message names the domain, both versions and the remedy.
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
    """Read the features of the first CPU from /proc/cpuinfo; empty where there is none."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            match = re.search(r"^(?:Features|flags)\s*:(.*)$", file.read(1 << 20), re.MULTILINE)
    except OSError:
        return frozenset()
    return frozenset(match[1].split()) if match else frozenset()


def installed_onnxruntime() -> str:
    """Find the version of onnxruntime that an import would load, without importing it.

    Raises
    ------
    UnsupportedRuntimeError
        onnxruntime is not installed.
    """
    package = _package_folder()
    if package is None:
        raise UnsupportedRuntimeError("onnxruntime is not installed; pip install onnxruntime")
    distributions = _distributions_beside(package)
    if len(distributions) == 1:
        return distributions[0][1]
    if distributions and (version := _version_in_source(package)):
        return version  # several lie over each other: the files that are there count
    from importlib import metadata

    try:
        return metadata.version("onnxruntime")
    except metadata.PackageNotFoundError as error:
        raise UnsupportedRuntimeError(
            "the installed onnxruntime has no version; pip install onnxruntime"
        ) from error


def is_installed() -> bool:
    """Whether there is a package onnxruntime, sound or not."""
    return _package_folder() is not None


def installed_distributions() -> list[tuple[str, str]]:
    """List name and version of the distributions of onnxruntime beside the one that is imported."""
    package = _package_folder()
    return [] if package is None else _distributions_beside(package)


def _package_folder() -> str | None:
    # PathFinder first: importlib.util takes 0.3 ms to import.
    spec = PathFinder.find_spec("onnxruntime") or _find_spec("onnxruntime")
    locations = spec and spec.submodule_search_locations
    return locations[0] if locations else None


def _distributions_beside(package: str) -> list[tuple[str, str]]:
    # The name of the dist-info folder has the version.  importlib.metadata would read it too, but
    # its import takes longer than making a small session (15 ms against 3 ms).
    folders = sorted(os.listdir(os.path.dirname(package)))
    return [(name.partition("-")[0], version) for name in folders if (version := _version_in(name))]


def _version_in_source(package: str) -> str:
    """Read ``__version__`` in the package's source; empty if there is none."""
    try:
        with open(os.path.join(package, "__init__.py"), encoding="utf-8", errors="replace") as file:
            match = re.search(r'^__version__ = "([^"]+)"', file.read(1 << 16), re.MULTILINE)
    except OSError:
        return ""
    return match[1] if match else ""


def _find_spec(name: str) -> Any:
    """Search with every finder, not only along sys.path."""
    from importlib.util import find_spec

    return find_spec(name)


def _version_in(folder: str) -> str:
    """Read the version of onnxruntime, or of onnxruntime_gpu say, from a dist-info folder's name.

    Gives "" for every other folder.
    """
    name, dash, suffix = folder.partition("-")
    version = suffix.removesuffix(".dist-info")
    if not name.startswith("onnxruntime") or not dash or version == suffix or "-" in version:
        return ""
    variant = name.removeprefix("onnxruntime")
    is_onnxruntime = not variant or (variant[0] == "_" and variant.replace("_", "").isalpha())
    return version if is_onnxruntime and version[:1].isdigit() else ""


def _release(version: str) -> tuple[int, int, int]:
    """Parse major, minor and micro number; ignore a suffix (rc1, dev, +cu12)."""
    numbers: list[int] = []
    for part in version.split(".")[:3]:
        # The leading digits: "0" in "0rc1".
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
