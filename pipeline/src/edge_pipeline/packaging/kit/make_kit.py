"""Make a kit: one archive that installs a sealed model on a board without a network."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.bundle_file import open_bundle
from edge_runtime.bundle.manifest import Manifest
from packaging.requirements import Requirement

from edge_pipeline.errors import KitError
from edge_pipeline.inspect_file import inspect
from edge_pipeline.packaging.kit.archive import FORMAT, pack
from edge_pipeline.packaging.kit.bill_of_materials import bill_of_materials
from edge_pipeline.packaging.kit.download_wheels import (
    WheelRequest,
    WheelSet,
    download_wheels,
)
from edge_pipeline.packaging.kit.slim_wheels import prune_wheel
from edge_pipeline.packaging.kit.targets import Target, find_target
from edge_pipeline.packaging.kit.wheels import Wheel, required_by
from edge_pipeline.packaging.model_card import model_components
from edge_pipeline.short_repr import short_repr

if TYPE_CHECKING:
    from edge_pipeline.evaluation.report.measurements import Evaluation

__all__ = ["Kit", "KitPackage", "board_name", "make_kit"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Names that install.sh uses beside the folders of models.
_RESERVED_NAMES = {"runtime", "board.sh", "uninstall.sh"}
# Size of an empty virtual environment: links to Python, activate scripts.
_ENVIRONMENT_BYTES = 200_000
# Bytes that Python writes into __pycache__ for each installed byte.
_CACHES = 0.06
_BLOCK_BYTES = 4096
_TEMPLATES = ("README.txt", "board.sh", "edge.service", "install.sh", "uninstall.sh")


@short_repr
@dataclass(frozen=True)
class KitPackage:
    """A distribution that a kit installs.

    Attributes
    ----------
    name, version, licence
        As in its metadata.
    wheel_bytes, installed_bytes
        Size of the wheel, and of its files when installed.
    full_bytes
        Size of the installed files before pruning.
    """

    name: str
    version: str
    licence: str
    wheel_bytes: int
    installed_bytes: int
    full_bytes: int


@short_repr
@dataclass(frozen=True)
class Kit:
    """A kit: its file, and the packages that it installs.

    Attributes
    ----------
    path, sha256, kit_bytes
        The archive, its digest and its size.
    name
        Name of the model on the board.
    runtime_id
        Id of the environment that it installs; kits with the same id share it.
    target, slim
        As requested.
    packages
        Packages that it installs, sorted by name.
    left_out
        Packages of the full runtime that a slim one does not need, with their size.
    notes
        Notes for the user.
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
        """Return the installed size of all packages, without Python's caches."""
        return sum(package.installed_bytes for package in self.packages)

    @property
    def full_bytes(self) -> int:
        """Return the installed size of all packages before pruning."""
        return sum(p.full_bytes for p in self.packages) + sum(self.left_out.values())

    def to_json(self) -> dict[str, Any]:
        """Return a dict that JSON can hold."""
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
        The sealed file.  ``NAME.report.json`` beside it adds the digest of the training data and
        the test scores to the bill of materials.
    output
        Archive to write; ``NAME-BOARD.kit.tar.gz`` in the current folder when None.
    board, platform
        ``zero2``, ``3``, ``4`` or ``5``; or ``x86-64``.
    python
        Python version of the board, as ``3.11``.
    slim
        Leave out the files that inference never opens.
    extras
        Extras of edge-runtime: ``signing``.
    pins
        ``NAME==VERSION``, for versions other than those installed here.
    wheels
        Folder of wheels; without it pip uses its package index.
    name
        Name of the model on the board; its own name when None.

    Returns
    -------
    Kit
        The same arguments, and the same wheels, give the same bytes.

    Raises
    ------
    KitError
        No kit can be made for the board, or a wheel is missing.
    BundleError
        The file is not a sealed model, or no onnxruntime for that board may run it.
    OSError
        The archive cannot be written; an older one is left as it was.
    """
    target = find_target(board, platform=platform, python=python)
    bundle = open_bundle(os.fspath(path))
    manifest = bundle.manifest
    evaluation = inspect(path).evaluation()
    model_name = board_name(name or manifest.name)
    model = Path(path).read_bytes()
    request = WheelRequest(
        target,
        onnxruntime=manifest.requires.onnxruntime,
        extras=tuple(extras),
        pins=tuple(pins),
        wheels=None if wheels is None else Path(wheels),
    )
    with tempfile.TemporaryDirectory(prefix="edge-kit-") as folder:
        full = download_wheels(request, Path(folder))
        installed = _prune_wheels(full.wheels, request, Path(folder)) if slim else full.wheels
        plan = _Plan(model_name, manifest, model, target, full, installed, slim, evaluation)
        return plan.write(Path(output or f"{model_name}-{target.name}.kit.tar.gz"))


def board_name(name: str) -> str:
    """Return *name*, checked as the name of a model's folder on a board.

    Raises
    ------
    KitError
        Not every board can have a folder of this name.
    """
    if _NAME.fullmatch(name) and name not in _RESERVED_NAMES:
        return name
    suggestion = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:57] or "model"
    suggestion += "-model" if suggestion in _RESERVED_NAMES else ""
    raise KitError(
        f"{name!r:.80} cannot be the name of a folder on the board: expected letters, digits, "
        f"'.', '_' and '-'; pass --name {suggestion}"
    )


@dataclass(frozen=True)
class _Plan:
    """The model, the wheels and the values of one archive."""

    name: str
    manifest: Manifest
    model: bytes
    target: Target
    full: WheelSet
    wheels: Mapping[str, Wheel]
    slim: bool
    evaluation: Evaluation | None

    @cached_property
    def requirements(self) -> str:
        """List every distribution with version and hash, for ``pip --require-hashes``."""
        return "".join(
            f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
            for wheel in self.wheels.values()
        )

    @cached_property
    def runtime_id(self) -> str:
        """Digest the Python, the machine and the requirements of the environment."""
        environment = f"{self.target.python} {self.target.machine}\n{self.requirements}"
        return hashlib.sha256(environment.encode()).hexdigest()[:16]

    def write(self, path: Path) -> Kit:
        """Write the archive to *path*."""
        pack(self.parts(), f"{self.name}-kit", path)
        raw = path.read_bytes()
        full = self.full.wheels
        return Kit(
            path=path,
            sha256=hashlib.sha256(raw).hexdigest(),
            kit_bytes=len(raw),
            name=self.name,
            runtime_id=self.runtime_id,
            target=self.target,
            slim=self.slim,
            packages=[_package(wheel, full[name]) for name, wheel in self.wheels.items()],
            left_out={
                name: wheel.unpacked_bytes
                for name, wheel in full.items()
                if name not in self.wheels
            },
            notes=self.full.notes,
        )

    def parts(self) -> dict[str, bytes]:
        """Return the parts of the archive: name to bytes."""
        digest = hashlib.sha256(self.model).hexdigest()
        parts = {
            f"models/{self.name}.onnx": self.model,
            "requirements.txt": self.requirements.encode(),
            "kit.json": self._metadata(digest),
            "sbom.cdx.json": bill_of_materials(
                model_components(self.manifest, digest, self.evaluation),
                self.wheels,
                self.full.pip,
                self.target,
            ),
        }
        for wheel in (*self.wheels.values(), self.full.pip):
            parts[f"wheels/{wheel.path.name}"] = wheel.path.read_bytes()
            parts |= _licence_parts(wheel)
        values = self._template_values(digest, len(parts) + len(_TEMPLATES))
        for template in _TEMPLATES:
            name = f"edge-{self.name}.service" if template == "edge.service" else template
            parts[name] = _fill_template(template, values)
        return parts

    def _template_values(self, digest: str, n_parts: int) -> dict[str, str]:
        """Return this kit's values of the marks ``@NAME@`` in templates."""
        glibc = max((_needed_glibc(wheel) for wheel in self.wheels.values()), default=(0, 0))
        return {
            "NAME": self.name,
            "VERSION": str(self.manifest.version),
            "SHA256": digest,
            "TARGET": self.target.name,
            "DESCRIPTION": self.target.description,
            "MACHINE": self.target.machine,
            "PYTHON": self.target.python,
            "GLIBC": f"{glibc[0]}.{glibc[1]}",
            "RUNTIME": self.runtime_id,
            "PIP": self.full.pip.path.name,
            "NEED_KB": str(_needed_kb(self.wheels)),
            "MODEL_KB": str(len(self.model) // 1024 + 64),
            "PARTS": str(n_parts),
            "PACKAGES": ", ".join(f"{w.name} {w.version}" for w in self.wheels.values()),
        }

    def _metadata(self, digest: str) -> bytes:
        metadata = {
            "format": FORMAT,
            "name": self.name,
            "model_version": self.manifest.version,
            "model_sha256": digest,
            "board": self.target.name,
            "machine": self.target.machine,
            "python": self.target.python,
            "runtime_id": self.runtime_id,
            "need_kb": _needed_kb(self.wheels),
            "packages": {wheel.name: wheel.version for wheel in self.wheels.values()},
        }
        return (json.dumps(metadata, indent=2) + "\n").encode()


def _fill_template(template: str, values: Mapping[str, str]) -> bytes:
    """Return a file of the folder ``board``, with *values* instead of ``@NAME@``."""
    file = files("edge_pipeline.packaging.kit").joinpath("board", template)
    text = file.read_text(encoding="utf-8")
    return re.sub(r"@([A-Z_0-9]+)@", lambda m: values.get(m[1], m[0]), text).encode()


def _prune_wheels(
    wheels: Mapping[str, Wheel], request: WheelRequest, folder: Path
) -> dict[str, Wheel]:
    """Prune the wheels, and drop those that are no longer required."""
    pruned = {name: prune_wheel(wheel, folder) for name, wheel in wheels.items()}
    root = Requirement(f"edge-runtime[{','.join(request.extras)}]")
    return {name: pruned[name] for name in required_by([root], pruned, request.target.markers)}


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
    """Return the licence files of a wheel, below a folder of its name."""
    folder = f"licences/{wheel.name}-{wheel.version}"
    return {
        f"{folder}/{re.sub(r'[^A-Za-z0-9_.+-]', '_', name.partition('/')[2] or name)}": raw
        for name, raw in wheel.licence_files().items()
    }


def _needed_glibc(wheel: Wheel) -> tuple[int, int]:
    """Return the oldest glibc that one of the wheel's tags allows (PEP 600)."""
    matches = [re.match(r"manylinux_(\d+)_(\d+)_", tag) for tag in wheel.tags]
    exact = [(int(match[1]), int(match[2])) for match in matches if match]
    return min(exact, default=(2, 17) if any("manylinux" in t for t in wheel.tags) else (0, 0))


def _needed_kb(wheels: Mapping[str, Wheel]) -> int:
    """Estimate the disk space of the installed packages, in whole blocks, with Python's caches."""
    unpacked = sum(wheel.unpacked_bytes for wheel in wheels.values())
    blocks = sum(wheel.n_files for wheel in wheels.values()) * _BLOCK_BYTES // 2
    return int(unpacked * (1 + _CACHES) + blocks + _ENVIRONMENT_BYTES) // 1024
