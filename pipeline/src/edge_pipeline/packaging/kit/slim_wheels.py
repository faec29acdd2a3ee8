"""Wheels in, wheels without what inference never opens out.

What goes is listed here, path by path; what is not listed stays.  A slim wheel has a local version
label and a RECORD of its own, its licences, and metadata that asks for no more than it needs, so
that pip, importlib.metadata and an audit see what is really there.
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

__all__ = ["LABEL", "PRUNED", "Pruning", "slim"]

LABEL = "slim"
"""Local version label (PEP 440) of a wheel that was pruned."""


@dataclass(frozen=True)
class Pruning:
    """What goes from one distribution's wheel.

    Attributes
    ----------
    gone
        Pattern of paths to the reason; ``*`` also matches slashes.
    kept
        Paths that stay although a pattern of *gone* matches them, and why.
    needless
        Requirements that only what is gone imports.
    """

    gone: Mapping[str, str]
    kept: Mapping[str, str] = field(default_factory=dict)
    needless: frozenset[str] = frozenset()


PRUNED: Mapping[str, Pruning] = {
    "onnxruntime": Pruning(
        gone={
            "onnxruntime/capi/libonnxruntime.so*": "the engine a second time, for programs in C",
            "onnxruntime/transformers/*": "rewrites transformer models before they are deployed",
            "onnxruntime/quantization/*": "rewrites models to 8 bits before they are deployed",
            "onnxruntime/tools/*": "converts models for phones",
            "onnxruntime/datasets/*": "three example models",
            "onnxruntime/backend/*": "the test interface of the onnx package",
        },
        kept={
            "onnxruntime/capi/libonnxruntime_providers_shared.so": "without it every import warns",
        },
        needless=frozenset({"flatbuffers", "packaging", "protobuf"}),
    ),
    "numpy": Pruning(
        gone={
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


def slim(wheel: Wheel, folder: Path) -> Wheel:
    """Write *wheel* without what :data:`PRUNED` lists to *folder*; one not listed comes back as is.

    Raises
    ------
    KitError
        The wheel cannot be read, or a pattern matches nothing: its layout has changed, and what it
        now holds has to be looked at before it may be pruned.
    """
    pruning = PRUNED.get(wheel.name)
    if pruning is None:
        return wheel
    with zipfile.ZipFile(wheel.path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        gone = {name for name in names if _is_gone(name, pruning)}
        _check_patterns(wheel, names, pruning)
        members = {
            name: Member(archive.read(name), _mode(archive.getinfo(name)))
            for name in names
            if name not in gone
        }
    distribution, version, *tags = wheel.path.name.split("-")
    label = f"{version}.{LABEL}" if "+" in version else f"{version}+{LABEL}"
    old, new = f"{distribution}-{version}.dist-info/", f"{distribution}-{label}.dist-info/"
    renamed = {
        f"{new}{name.removeprefix(old)}" if name.startswith(old) else name: member
        for name, member in members.items()
        if name != f"{old}RECORD"
    }
    renamed[f"{new}METADATA"] = Member(_metadata(wheel, label, pruning.needless).encode())
    points = f"{new}entry_points.txt"
    if points in renamed:
        renamed[points] = Member(_entry_points(renamed[points].raw.decode(), renamed).encode())
    return write_wheel(folder / "-".join((distribution, label, *tags)), renamed)


def _is_gone(name: str, pruning: Pruning) -> bool:
    if name in pruning.kept or ".dist-info/" in name or is_licence(name):
        return False
    return any(fnmatchcase(name, pattern) for pattern in pruning.gone)


def _check_patterns(wheel: Wheel, names: Sequence[str], pruning: Pruning) -> None:
    idle = [
        pattern
        for pattern in (*pruning.gone, *pruning.kept)
        if not any(fnmatchcase(name, pattern) for name in names)
    ]
    if idle and not set(idle) <= _OPTIONAL:
        raise KitError(
            f"{wheel.path.name} holds nothing at {', '.join(sorted(set(idle) - _OPTIONAL))}: its "
            "layout is not the one that --slim was proven on; make the kit without --slim"
        )


# In some releases and not in others.
_OPTIONAL = {
    "numpy/_core/_simd.*.so",
    "numpy/_core/lib/*",
    "numpy/distutils/*",
    "numpy/random/_examples/*",
    "numpy/random/lib/*",
    "onnxruntime/backend/*",
}


def _metadata(wheel: Wheel, version: str, needless: frozenset[str]) -> str:
    """The metadata with the new version, and without requirements of what is gone."""
    head, blank, body = wheel.text("METADATA").partition("\n\n")
    lines = []
    for line in head.splitlines():
        name, _, value = line.partition(": ")
        if name == "Requires-Dist" and _is_needless(value, needless):
            continue
        lines.append(f"Version: {version}" if name == "Version" else line)
    return "\n".join(lines) + blank + body


def _is_needless(text: str, needless: frozenset[str]) -> bool:
    requirement = Requirement(text)
    # An extra's requirement is for what is gone as well: the tools of onnxruntime.
    marker = str(requirement.marker or "")
    return canonicalize_name(requirement.name) in needless or "extra ==" in marker


def _entry_points(text: str, members: Mapping[str, Member]) -> str:
    """Without commands and plug-ins whose module is gone."""
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
    written = StringIO()
    points.write(written)
    return written.getvalue()


def _mode(entry: zipfile.ZipInfo) -> int:
    return entry.external_attr >> 16 or 0o100644
