"""``make_kit``: a sealed model and a board in, one archive that installs there offline out."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edge_runtime.bundle.bundle_file import open_bundle
from edge_runtime.bundle.manifest import Manifest
from packaging.requirements import Requirement

from edge_pipeline.errors import KitError
from edge_pipeline.packaging.kit import slim_wheels
from edge_pipeline.packaging.kit.archive import FORMAT, pack
from edge_pipeline.packaging.kit.bill_of_materials import bill_of_materials
from edge_pipeline.packaging.kit.download_wheels import Gathered, Wanted, gather
from edge_pipeline.packaging.kit.targets import Target, find_target
from edge_pipeline.packaging.kit.wheels import Wheel, required_by

__all__ = ["Kit", "KitPackage", "board_name", "make_kit"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# What else lies beside the models' folders.
_TAKEN = {"runtime", "board.sh", "uninstall.sh"}
# The environment without packages: links to Python, its activate scripts.
_ENVIRONMENT_BYTES = 200_000
# What Python writes into __pycache__ when the model is checked, for each byte of source.
_CACHES = 0.06
_BLOCK_BYTES = 4096


@dataclass(frozen=True)
class KitPackage:
    """A distribution that a kit installs.

    Attributes
    ----------
    name, version, licence
        As its metadata says.
    wheel_bytes, installed_bytes
        Of the wheel, and of its files when unpacked.
    full_bytes
        Of its files when unpacked, had it not been pruned.
    """

    name: str
    version: str
    licence: str
    wheel_bytes: int
    installed_bytes: int
    full_bytes: int


@dataclass(frozen=True)
class Kit:
    """A kit that was written.

    Attributes
    ----------
    path, sha256, kit_bytes
        The archive.
    name
        What the model is called on the board.
    runtime_id
        Of the environment that it installs: kits with the same one share it.
    target, slim
        As asked for.
    packages
        What it installs, in order of name.
    left_out
        Packages of the full runtime that a slim one does not need, with their size.
    notes
        What should be known of it.
    """

    path: Path
    sha256: str
    kit_bytes: int
    name: str
    runtime_id: str
    target: Target
    slim: bool
    packages: Sequence[KitPackage]
    left_out: Mapping[str, int]
    notes: Sequence[str]

    @property
    def installed_bytes(self) -> int:
        """Of all packages, without Python's caches."""
        return sum(package.installed_bytes for package in self.packages)

    @property
    def full_bytes(self) -> int:
        """The same, had nothing been pruned."""
        return sum(p.full_bytes for p in self.packages) + sum(self.left_out.values())

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "kit_bytes": self.kit_bytes,
            "name": self.name,
            "runtime_id": self.runtime_id,
            "board": self.target.name,
            "machine": self.target.machine,
            "python": self.target.python,
            "slim": self.slim,
            "installed_bytes": self.installed_bytes,
            "full_bytes": self.full_bytes,
            "packages": [vars(package) for package in self.packages],
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
        }


def make_kit(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    board: str | None = None,
    platform: str | None = None,
    python: str = "3.11",
    slim: bool = False,
    extras: Sequence[str] = (),
    pins: Sequence[str] = (),
    wheels: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> Kit:
    """Write everything that a board without a network needs to run a sealed model.

    Parameters
    ----------
    path
        The sealed file.
    output
        Archive to write; ``NAME-BOARD.kit.tar.gz`` in the current folder when None.
    board, platform
        ``zero2``, ``3``, ``4`` or ``5``; or ``x86-64``.
    python
        Of the board, as ``3.11``.
    slim
        Leave out what inference never opens.
    extras
        Of edge-runtime: ``signing``.
    pins
        ``NAME==VERSION``, for versions other than those installed here.
    wheels
        Folder of wheels; without it pip asks its package index.
    name
        What the model is called on the board; its own name when None.

    Returns
    -------
    Kit
        The same arguments, and the same wheels, give the same bytes.

    Raises
    ------
    KitError
        No kit can be made for that board, or a wheel is missing.
    BundleError
        The file is not a sealed model, or no onnxruntime for that board may run it.
    OSError
        The archive cannot be written; an older one is left as it was.
    """
    target = find_target(board, platform=platform, python=python)
    bundle = open_bundle(os.fspath(path))
    manifest = bundle.manifest
    called = board_name(name or manifest.name)
    model = Path(path).read_bytes()
    wanted = Wanted(
        target,
        onnxruntime=manifest.requires.onnxruntime,
        extras=tuple(extras),
        pins=tuple(pins),
        wheels=None if wheels is None else Path(wheels),
    )
    with tempfile.TemporaryDirectory(prefix="edge-kit-") as folder:
        full = gather(wanted, Path(folder))
        chosen = _slimmed(full.wheels, wanted, Path(folder)) if slim else full.wheels
        requirements = _requirements(chosen)
        runtime_id = hashlib.sha256(f"{target.python} {target.machine}\n{requirements}".encode())
        kit = _Plan(called, manifest, model, target, full, chosen, runtime_id.hexdigest()[:16])
        destination = Path(output or f"{called}-{target.name}.kit.tar.gz")
        pack(kit.parts(requirements), f"{called}-kit", destination)
        raw = destination.read_bytes()
        return Kit(
            path=destination,
            sha256=hashlib.sha256(raw).hexdigest(),
            kit_bytes=len(raw),
            name=called,
            runtime_id=kit.runtime_id,
            target=target,
            slim=slim,
            packages=[_package(wheel, full.wheels[name]) for name, wheel in chosen.items()],
            left_out={
                name: wheel.unpacked_bytes
                for name, wheel in full.wheels.items()
                if name not in chosen
            },
            notes=full.notes,
        )


def board_name(called: str) -> str:
    """*called*, if it can be the name of a model's folder on a board.

    Raises
    ------
    KitError
        It cannot be the name of a folder on every board.
    """
    if _NAME.fullmatch(called) and called not in _TAKEN:
        return called
    instead = re.sub(r"[^A-Za-z0-9._-]+", "-", called).strip("-._")[:57] or "model"
    instead += "-model" if instead in _TAKEN else ""
    raise KitError(
        f"{called!r:.80} cannot be the name of a folder on the board: expected letters, digits, "
        f"'.', '_' and '-'; pass --name {instead}"
    )


@dataclass(frozen=True)
class _Plan:
    """Everything that goes into one archive."""

    name: str
    manifest: Manifest
    model: bytes
    target: Target
    full: Gathered
    wheels: Mapping[str, Wheel]
    runtime_id: str

    def parts(self, requirements: str) -> dict[str, bytes]:
        """Name in the archive to bytes."""
        digest = hashlib.sha256(self.model).hexdigest()
        parts = {
            f"models/{self.name}.onnx": self.model,
            "requirements.txt": requirements.encode(),
            "kit.json": self._told(digest),
            "sbom.cdx.json": bill_of_materials(
                self.manifest, digest, self.wheels, self.full.pip, self.target
            ),
            f"edge-{self.name}.service": self._filled("edge.service", digest),
            "README.txt": self._filled("README.txt", digest),
            **{s: self._filled(s, digest) for s in ("install.sh", "board.sh", "uninstall.sh")},
        }
        for wheel in (*self.wheels.values(), self.full.pip):
            parts[f"wheels/{wheel.path.name}"] = wheel.path.read_bytes()
            parts |= _licence_parts(wheel)
        return parts

    def _filled(self, template: str, digest: str) -> bytes:
        """A file of the folder ``board``, with this kit's values instead of ``@NAME@``."""
        text = (
            files("edge_pipeline.packaging.kit")
            .joinpath("board", template)
            .read_text(encoding="utf-8")
        )
        glibc = max((_needed_glibc(wheel) for wheel in self.wheels.values()), default=(0, 0))
        values = {
            "NAME": self.name,
            "VERSION": str(self.manifest.version),
            "SHA256": digest,
            "TARGET": self.target.name,
            "TOLD": self.target.told,
            "MACHINE": self.target.machine,
            "PYTHON": self.target.python,
            "GLIBC": f"{glibc[0]}.{glibc[1]}",
            "RUNTIME": self.runtime_id,
            "PIP": self.full.pip.path.name,
            "NEED_KB": str(_needed_kb(self.wheels)),
            "MODEL_KB": str(len(self.model) // 1024 + 64),
            "PACKAGES": ", ".join(f"{w.name} {w.version}" for w in self.wheels.values()),
        }
        return re.sub(r"@([A-Z_0-9]+)@", lambda m: values.get(m[1], m[0]), text).encode()

    def _told(self, digest: str) -> bytes:
        told = {
            "format": FORMAT,
            "name": self.name,
            "model_version": self.manifest.version,
            "model_sha256": digest,
            "board": self.target.name,
            "machine": self.target.machine,
            "python": self.target.python,
            "runtime_id": self.runtime_id,
            "packages": {wheel.name: wheel.version for wheel in self.wheels.values()},
        }
        return (json.dumps(told, indent=2) + "\n").encode()


def _slimmed(wheels: Mapping[str, Wheel], wanted: Wanted, folder: Path) -> dict[str, Wheel]:
    """The pruned wheels, without those that nothing needs any more."""
    pruned = {name: slim_wheels.slim(wheel, folder) for name, wheel in wheels.items()}
    root = Requirement(f"edge-runtime[{','.join(wanted.extras)}]")
    return {name: pruned[name] for name in required_by([root], pruned, wanted.target.markers)}


def _requirements(wheels: Mapping[str, Wheel]) -> str:
    """Every distribution in one version, and its hash: what pip --require-hashes takes."""
    return "".join(
        f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels.values()
    )


def _package(wheel: Wheel, full: Wheel) -> KitPackage:
    return KitPackage(
        wheel.name,
        wheel.version,
        wheel.licence,
        wheel.path.stat().st_size,
        wheel.unpacked_bytes,
        full.unpacked_bytes,
    )


def _licence_parts(wheel: Wheel) -> dict[str, bytes]:
    """The licence files of a wheel, in a folder of their own."""
    folder = f"licences/{wheel.name}-{wheel.version}"
    return {
        f"{folder}/{re.sub(r'[^A-Za-z0-9_.+-]', '_', name.partition('/')[2] or name)}": raw
        for name, raw in wheel.licence_files().items()
    }


def _needed_glibc(wheel: Wheel) -> tuple[int, int]:
    """The oldest glibc that one of the wheel's tags is content with (PEP 600)."""
    found = [re.match(r"manylinux_(\d+)_(\d+)_", tag) for tag in wheel.tags]
    exact = [(int(match[1]), int(match[2])) for match in found if match]
    return min(exact, default=(2, 17) if any("manylinux" in t for t in wheel.tags) else (0, 0))


def _needed_kb(wheels: Mapping[str, Wheel]) -> int:
    """Disk space that the installed packages take, in whole blocks, with Python's caches."""
    unpacked = sum(wheel.unpacked_bytes for wheel in wheels.values())
    blocks = sum(wheel.n_files for wheel in wheels.values()) * _BLOCK_BYTES // 2
    return int(unpacked * (1 + _CACHES) + blocks + _ENVIRONMENT_BYTES) // 1024
