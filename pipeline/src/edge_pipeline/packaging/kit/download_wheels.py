"""Download the wheels that edge-runtime needs on a target, with pip.

pip uses the user's own settings and package index.  With a folder of wheels it uses no index.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path

from edge_runtime.onnxruntime_versions import DENIED
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from edge_pipeline.errors import KitError
from edge_pipeline.packaging.kit.runtime_wheel import runtime_wheel
from edge_pipeline.packaging.kit.targets import Target
from edge_pipeline.packaging.kit.wheels import Wheel, required_by

__all__ = ["WheelRequest", "WheelSet", "download_wheels"]

EXTRAS = ("signing",)
"""Extras of edge-runtime that a kit can install."""

_VERIFIED_WITH = ("onnxruntime", "numpy")


@dataclass(frozen=True)
class WheelRequest:
    """A target, and the versions that its wheels must have.

    Attributes
    ----------
    target
        Board or platform, and its Python version.
    onnxruntime
        Oldest release that the model needs.
    extras
        Extras of edge-runtime.
    pins
        ``NAME==VERSION`` of packages that the user pins.
    wheels
        Folder of wheels to use instead of a package index, or None.
    """

    target: Target
    onnxruntime: str
    extras: Sequence[str] = ()
    pins: Sequence[str] = ()
    wheels: Path | None = None


@dataclass(frozen=True)
class WheelSet:
    """The wheels to install, the wheel of pip that installs them, and notes for the user."""

    wheels: Mapping[str, Wheel]
    pip: Wheel
    notes: Sequence[str] = ()


def download_wheels(request: WheelRequest, folder: Path) -> WheelSet:
    """Download into *folder* the wheels that edge-runtime needs on the target.

    The model was verified with the numpy and onnxruntime installed here, so the same versions are
    taken.  If they do not exist for the target, the newest allowed versions are taken.

    Raises
    ------
    KitError
        A wheel does not exist for the target, or pip could not download it.
    UnsupportedRuntimeError
        The requested onnxruntime is on the deny list, or too old for the model.
    """
    pins = _pinned(request)
    own = runtime_wheel(folder)
    _check_extras(request, own)
    here = {name: f"=={installed_version(name)}" for name in _VERIFIED_WITH if name not in pins}
    notes: list[str] = []
    try:
        _download(request, own, {**here, **pins}, folder)
    except KitError:
        if not here:
            raise
        _download(request, own, pins, folder)
        notes.append(
            "some versions installed here do not exist for the target; other versions were taken"
        )
    wheels = {wheel.name: wheel for wheel in map(Wheel, sorted(folder.glob("*.whl")))}
    pip = wheels.get("pip")
    if pip is None:
        raise KitError("the wheel of pip is missing")
    request.target.check_onnxruntime(wheels["onnxruntime"].version, request.onnxruntime)
    root = Requirement(f"edge-runtime[{','.join(request.extras)}]")
    needed = required_by([root], wheels, request.target.markers)
    return WheelSet({name: wheels[name] for name in needed}, pip, notes)


def _check_extras(request: WheelRequest, own: Wheel) -> None:
    provided = own.metadata.get_all("Provides-Extra") or ()
    for extra in request.extras:
        if extra not in EXTRAS:
            raise KitError(f"edge-runtime has no extra {extra!r}; expected {', '.join(EXTRAS)}")
        if extra not in provided:  # an editable install with an older pyproject.toml
            raise KitError(
                f"the metadata of the installed edge-runtime do not list the extra {extra!r}; "
                "install edge-runtime again"
            )


def _pinned(request: WheelRequest) -> dict[str, str]:
    """Parse the user's pins to package name and version specifier, before any download."""
    pins = {}
    for text in request.pins:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise KitError(
                f"{text!r} is not a requirement: {error}; expected NAME==VERSION"
            ) from error
        exact = [s.version for s in requirement.specifier if s.operator == "=="]
        if len(exact) != 1 or len(requirement.specifier) != 1 or "*" in exact[0]:
            raise KitError(f"{text!r} pins nothing; expected NAME==VERSION")
        name = canonicalize_name(requirement.name)
        if name == "onnxruntime":
            request.target.check_onnxruntime(exact[0], request.onnxruntime)
        pins[str(name)] = f"=={exact[0]}"
    return pins


def _download(request: WheelRequest, own: Wheel, pins: Mapping[str, str], folder: Path) -> None:
    """Run ``pip download``, which resolves the versions and writes the wheels to *folder*."""
    if find_spec("pip") is None:
        raise KitError(
            "pip, which downloads the wheels, is not installed here; python -m ensurepip, or uv "
            "pip install pip"
        )
    denied = [
        f"!={entry.version}" for entry in DENIED if entry.machine in (None, request.target.machine)
    ]
    bounds = ",".join([f">={request.onnxruntime}", *denied])
    constraints = folder / "constraints.txt"
    lines = [f"onnxruntime{bounds}", *(f"{name}{pin}" for name, pin in sorted(pins.items()))]
    constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
    extras = f"[{','.join(request.extras)}]" if request.extras else ""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-cache-dir" if request.wheels else "--progress-bar=off"),
        *("--dest", str(folder), "--constraint", str(constraints)),
        *(
            "--only-binary=:all:",
            "--implementation=cp",
            f"--python-version={request.target.python}",
        ),
        *(f"--platform={tag}" for tag in request.target.platforms),
        *_source(request.wheels),
        f"{own.path}{extras}",
        "pip",
    ]
    environment = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if process.returncode:
        errors = [line for line in process.stderr.splitlines() if line.startswith("ERROR")]
        raise KitError(_remedy(request, " ".join(errors[-2:]) or process.stderr.strip()[-300:]))


# Settings of pip that would change where it writes the wheels, or forbid this Python.
_DROPPED = {"PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_DEST", "PIP_REQUIRE_VIRTUALENV"}


def _source(wheels: Path | None) -> list[str]:
    if wheels is None:
        return []
    if not wheels.is_dir():
        raise KitError(f"{wheels} is not a folder; expected a folder of wheels")
    return ["--isolated", "--no-index", f"--find-links={wheels}"]


def _remedy(request: WheelRequest, pip_error: str) -> str:
    target = request.target
    platform = f"Python {target.python} on {target.machine}"
    if request.wheels is not None:
        return (
            f"{request.wheels} lacks a wheel for {platform}; expected numpy, onnxruntime, pip and "
            f"their requirements. pip says: {pip_error}"
        )
    return (
        f"pip found no wheels for {platform}: it needs a package index that has them, or "
        f"a folder of wheels (--wheels). pip says: {pip_error}"
    )
