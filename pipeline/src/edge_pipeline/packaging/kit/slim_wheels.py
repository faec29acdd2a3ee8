"""Write wheels without the files that inference never opens.

``PRUNED`` lists the removed files; every other file stays.  A slim wheel has a local version label,
a RECORD of its own and all licences.  Its metadata lists only the requirements that it still has,
so that pip, importlib.metadata and an audit see the installed files.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edge_pipeline.errors import KitError
from edge_pipeline.packaging.kit.wheels import Member, Wheel, is_licence, write_wheel

__all__ = ["LABEL", "PRUNED", "Pruning", "prune_wheel"]

LABEL = "slim"
"""Local version label (PEP 440) of a pruned wheel."""


@dataclass(frozen=True)
class Pruning:
    """Files and requirements to remove from one distribution's wheel.

    Attributes
    ----------
    removed
        Pattern of paths to the reason; ``*`` also matches slashes.
    exceptions
        Paths that stay although a pattern of *removed* matches them, with the reason.
    unused_requirements
        Requirements that only the removed files import.
    """

    removed: Mapping[str, str]
    exceptions: Mapping[str, str] = field(default_factory=dict)
    unused_requirements: frozenset[str] = frozenset()


PRUNED: Mapping[str, Pruning] = {
    "onnxruntime": Pruning(
        removed={
            "onnxruntime/capi/libonnxruntime.so*": "the engine a second time, for programs in C",
            "onnxruntime/transformers/*": "rewrites transformer models before they are deployed",
            "onnxruntime/quantization/*": "rewrites models to 8 bits before they are deployed",
            "onnxruntime/tools/*": "converts models for phones",
            "onnxruntime/datasets/*": "three example models",
            "onnxruntime/backend/*": "the test interface of the onnx package",
        },
        exceptions={
            "onnxruntime/capi/libonnxruntime_providers_shared.so": "without it every import warns",
        },
        unused_requirements=frozenset({"flatbuffers", "packaging", "protobuf"}),
    ),
    "numpy": Pruning(
        removed={
            "numpy/*tests/*": "numpy's own tests",
            "numpy/_core/_*_tests.*.so": "parts of those tests",
            "numpy/_core/_simd.*.so": "a part of those tests",
            "numpy/f2py/*": "makes modules of Fortran, with a compiler",
            "numpy/distutils/*": "builds extensions, with a compiler",
            "numpy/_core/include/*": "headers for building extensions",
            "numpy/_core/lib/*": "libraries for building extensions",
            "numpy/random/lib/*": "libraries for building extensions",
            "numpy/random/_examples/*": "examples for building extensions",
            "numpy/*.pxd": "declarations for Cython",
            "numpy/*.pyi": "type information",
        },
    ),
}
"""Every file that a slim kit leaves out."""


def prune_wheel(wheel: Wheel, folder: Path) -> Wheel:
    """Write *wheel* to *folder* without the files that :data:`PRUNED` lists.

    A wheel without an entry there is returned as it is.

    Raises
    ------
    KitError
        The wheel cannot be read, or a pattern matches nothing.  Its layout has then changed, and
        somebody must look at its files before it may be pruned.
    """
    pruning = PRUNED.get(wheel.name)
    if pruning is None:
        return wheel
    with zipfile.ZipFile(wheel.path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        removed = {name for name in names if _is_removed(name, pruning)}
        _check_patterns(wheel, names, pruning)
        members = {
            name: Member(archive.read(name), _mode(archive.getinfo(name)))
            for name in names
            if name not in removed
        }
    distribution, version, *tags = wheel.path.name.split("-")
    label = f"{version}.{LABEL}" if "+" in version else f"{version}+{LABEL}"
    old, new = f"{distribution}-{version}.dist-info/", f"{distribution}-{label}.dist-info/"
    renamed = {
        f"{new}{name.removeprefix(old)}" if name.startswith(old) else name: member
        for name, member in members.items()
        if name != f"{old}RECORD"
    }
    renamed[f"{new}METADATA"] = Member(
        _metadata(wheel, label, pruning.unused_requirements).encode()
    )
    points = f"{new}entry_points.txt"
    if points in renamed:
        renamed[points] = Member(_entry_points(renamed[points].raw.decode(), renamed).encode())
    return write_wheel(folder / "-".join((distribution, label, *tags)), renamed)


def _is_removed(name: str, pruning: Pruning) -> bool:
    if name in pruning.exceptions or ".dist-info/" in name or is_licence(name):
        return False
    return any(fnmatchcase(name, pattern) for pattern in pruning.removed)


def _check_patterns(wheel: Wheel, names: Sequence[str], pruning: Pruning) -> None:
    unmatched = [
        pattern
        for pattern in (*pruning.removed, *pruning.exceptions)
        if not any(fnmatchcase(name, pattern) for name in names)
    ]
    if unmatched and not set(unmatched) <= _OPTIONAL:
        raise KitError(
            f"{wheel.path.name} has no file {', '.join(sorted(set(unmatched) - _OPTIONAL))}: its "
            "layout is not the one that --slim was tested with; make the kit without --slim"
        )


# Patterns that some releases do not have.
_OPTIONAL = {
    "numpy/_core/_simd.*.so",
    "numpy/_core/lib/*",
    "numpy/distutils/*",
    "numpy/random/_examples/*",
    "numpy/random/lib/*",
    "onnxruntime/backend/*",
}


def _metadata(wheel: Wheel, version: str, unused: frozenset[str]) -> str:
    """Return the metadata with the new version, without requirements of removed files."""
    head, blank, body = wheel.text("METADATA").partition("\n\n")
    lines = []
    for line in head.splitlines():
        name, _, value = line.partition(": ")
        if name == "Requires-Dist" and _is_unused(value, unused):
            continue
        lines.append(f"Version: {version}" if name == "Version" else line)
    return "\n".join(lines) + blank + body


def _is_unused(text: str, unused: frozenset[str]) -> bool:
    requirement = Requirement(text)
    # The extras of onnxruntime are requirements of its removed tools.
    marker = str(requirement.marker or "")
    return canonicalize_name(requirement.name) in unused or "extra ==" in marker


def _entry_points(text: str, members: Mapping[str, Member]) -> str:
    """Return the entry points whose module is still there."""
    points = ConfigParser(delimiters=("=",), interpolation=None)
    points.optionxform = str  # type: ignore[assignment,method-assign]
    points.read_string(text)
    for section in points.sections():
        for name, target in points.items(section):
            module = re.split(r"[:\s\[]", target)[0].replace(".", "/")
            if f"{module}.py" not in members and f"{module}/__init__.py" not in members:
                points.remove_option(section, name)
        if not points.options(section):
            points.remove_section(section)
    buffer = StringIO()
    points.write(buffer)
    return buffer.getvalue()


def _mode(entry: zipfile.ZipInfo) -> int:
    return entry.external_attr >> 16 or 0o100644
