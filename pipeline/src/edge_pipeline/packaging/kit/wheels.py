"""Read the metadata of wheels, and write wheels so that equal files give equal bytes."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from functools import cached_property
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from edge_pipeline.errors import KitError

__all__ = ["Member", "Wheel", "is_licence", "required_by", "write_wheel"]

# The oldest date of a zip archive: nothing in a kit has a date.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE = 0o100644


@dataclass(frozen=True)
class Wheel:
    """A wheel's file."""

    path: Path

    @cached_property
    def name(self) -> str:
        """Return the canonical name of the distribution, as ``edge-runtime``."""
        return str(self._parsed[0])

    @cached_property
    def version(self) -> str:
        """Return the version, with its local label."""
        return self._parsed[1]

    @cached_property
    def tags(self) -> frozenset[str]:
        """Return the platform tags of the file's name."""
        return self._parsed[2]

    @cached_property
    def sha256(self) -> str:
        """Return the digest of the file."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def unpacked_bytes(self) -> int:
        """Return the size of its files when installed, without Python's caches."""
        with zipfile.ZipFile(self.path) as archive:
            return sum(entry.file_size for entry in archive.infolist())

    @cached_property
    def n_files(self) -> int:
        """Return how many files it installs."""
        with zipfile.ZipFile(self.path) as archive:
            return len(archive.infolist())

    @cached_property
    def metadata(self) -> Message:
        """Return the core metadata."""
        return Parser().parsestr(self.text("METADATA"))

    @cached_property
    def requirements(self) -> list[Requirement]:
        """Return the requirements, those of extras included."""
        return [Requirement(line) for line in self.metadata.get_all("Requires-Dist") or ()]

    @property
    def licence(self) -> str:
        """Return the licence in one line, as the metadata states it."""
        stated = self.metadata.get("License-Expression") or self.metadata.get("License") or ""
        if stated.strip() and "\n" not in stated.strip() and len(stated) < 100:
            return str(stated).strip()
        classifiers = [
            line.rpartition(" :: ")[2]
            for line in self.metadata.get_all("Classifier") or ()
            if line.startswith("License :: ")
        ]
        return " AND ".join(classifiers) or "see the licence files"

    def licence_files(self) -> dict[str, bytes]:
        """Read every licence and notice: path within the wheel to bytes."""
        with zipfile.ZipFile(self.path) as archive:
            return {
                name: archive.read(name) for name in sorted(archive.namelist()) if is_licence(name)
            }

    def text(self, name: str) -> str:
        """Read a file of the wheel's ``dist-info`` folder."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                folder = next(
                    entry.partition("/")[0]
                    for entry in archive.namelist()
                    if entry.partition("/")[0].endswith(".dist-info")
                )
                return archive.read(f"{folder}/{name}").decode("utf-8")
        except (zipfile.BadZipFile, StopIteration, KeyError, UnicodeDecodeError) as error:
            raise KitError(
                f"{self.path.name} cannot be read as a wheel ({error}); download it again"
            ) from error

    @cached_property
    def _parsed(self) -> tuple[str, str, frozenset[str]]:
        try:
            name, version, _, tags = parse_wheel_filename(self.path.name)
        except InvalidWheelFilename as error:
            raise KitError(
                f"{self.path.name} does not have the name of a wheel: {error}"
            ) from error
        return str(name), str(version), frozenset(tag.platform for tag in tags)


@dataclass(frozen=True)
class Member:
    """A file to write into a wheel: its bytes, and its permissions as zip stores them."""

    raw: bytes
    mode: int = _FILE


def write_wheel(path: Path, members: Mapping[str, Member]) -> Wheel:
    """Write *members* and their RECORD; the same members give the same bytes.

    Parameters
    ----------
    path
        File to write; its name is that of a wheel.
    members
        Path to file, those of the ``dist-info`` folder included, without RECORD.
    """
    distribution, version = path.name.split("-")[:2]
    record = f"{distribution}-{version}.dist-info/RECORD"
    lines = [
        f"{name},sha256={_urlsafe(members[name].raw)},{len(members[name].raw)}"
        for name in sorted(members)
    ]
    record_file = Member("".join(f"{line}\n" for line in (*lines, f"{record},,")).encode())
    # dist-info comes last, as in the wheels of other tools.
    order = sorted(members, key=lambda name: (".dist-info/" in name, name))
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in [*((name, members[name]) for name in order), (record, record_file)]:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = member.mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose permissions those are
            archive.writestr(entry, member.raw)
    return Wheel(path)


def required_by(
    roots: Iterable[Requirement], wheels: Mapping[str, Wheel], markers: Mapping[str, str]
) -> list[str]:
    """Return the names of the wheels that *roots* need, directly or through others, sorted.

    Raises
    ------
    KitError
        A wheel is missing, or has the wrong version.
    """
    extras_by_name: dict[str, set[str]] = {}
    waiting = list(roots)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        wheel = wheels.get(name)
        if wheel is None:
            raise KitError(f"the wheel of {requirement} is missing")
        if not requirement.specifier.contains(wheel.version, prereleases=True):
            raise KitError(f"expected {requirement}, found {wheel.path.name}")
        extras = {"", *requirement.extras} - extras_by_name.setdefault(name, set())
        extras_by_name[name] |= extras
        waiting += [
            dependency
            for dependency in wheel.requirements
            if any(_applies(dependency, markers, extra) for extra in extras)
        ]
    return sorted(extras_by_name)


def _applies(requirement: Requirement, markers: Mapping[str, str], extra: str) -> bool:
    if requirement.marker is None:
        return extra == ""
    return bool(requirement.marker.evaluate({**markers, "extra": extra}))


def is_licence(name: str) -> bool:
    """Return whether a file of a wheel is a licence or a notice, by its name."""
    base = name.rpartition("/")[2].lower()
    has_name = base.startswith(("licen", "copying", "notice", "authors", "thirdpartynotices"))
    return (has_name or "/licenses/" in name) and not name.endswith(("/", ".py", ".pyi", ".pyc"))


def _urlsafe(raw: bytes) -> str:
    digest = hashlib.sha256(raw).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
