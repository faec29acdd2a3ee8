"""A target in, the wheels that edge-runtime needs there out; pip chooses and fetches them.

This is a network command that the user gave, through their own pip and index; with a folder of
wheels, pip is told to ask no index.
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

__all__ = ["Gathered", "Wanted", "gather"]

EXTRAS = ("signing",)
"""Extras of edge-runtime that a kit can have."""

_VERIFIED_WITH = ("onnxruntime", "numpy")


@dataclass(frozen=True)
class Wanted:
    """What the wheels must satisfy.

    Attributes
    ----------
    target
        Board or platform, and its Python.
    onnxruntime
        Oldest release that the model needs.
    extras
        Of edge-runtime.
    pins
        ``NAME==VERSION``, of what the user wants in one version.
    wheels
        Folder of wheels to take instead of asking an index, or None.
    """

    target: Target
    onnxruntime: str
    extras: Sequence[str] = ()
    pins: Sequence[str] = ()
    wheels: Path | None = None


@dataclass(frozen=True)
class Gathered:
    """The wheels to install, pip's own to install them with, and what should be known of them."""

    wheels: Mapping[str, Wheel]
    pip: Wheel
    notes: Sequence[str] = ()


def gather(wanted: Wanted, folder: Path) -> Gathered:
    """Fetch into *folder* what edge-runtime needs on the target.

    Numpy and onnxruntime come in the versions that are installed here, since the model was
    verified with those, if they exist for the target; else in the newest that may be used.

    Raises
    ------
    KitError
        A wheel does not exist for the target, or pip could not fetch it.
    UnsupportedRuntimeError
        The onnxruntime that was asked for must not, or cannot, run the model there.
    """
    pins = _pinned(wanted)
    own = runtime_wheel(folder)
    _check_extras(wanted, own)
    here = {name: f"=={installed_version(name)}" for name in _VERIFIED_WITH if name not in pins}
    notes: list[str] = []
    try:
        _download(wanted, own, {**here, **pins}, folder)
    except KitError:
        if not here:
            raise
        _download(wanted, own, pins, folder)
        notes.append("the versions installed here do not all exist for the target; took others")
    wheels = {found.name: found for found in map(Wheel, sorted(folder.glob("*.whl")))}
    pip = wheels.get("pip")
    if pip is None:
        raise KitError("the wheel of pip is missing")
    wanted.target.check_onnxruntime(wheels["onnxruntime"].version, wanted.onnxruntime)
    root = Requirement(f"edge-runtime[{','.join(wanted.extras)}]")
    needed = required_by([root], wheels, wanted.target.markers)
    return Gathered({name: wheels[name] for name in needed}, pip, notes)


def _check_extras(wanted: Wanted, own: Wheel) -> None:
    provided = own.metadata.get_all("Provides-Extra") or ()
    for extra in wanted.extras:
        if extra not in EXTRAS:
            raise KitError(f"edge-runtime has no extra {extra!r}; expected {', '.join(EXTRAS)}")
        if extra not in provided:  # an editable install whose pyproject.toml has changed since
            raise KitError(
                f"the metadata of the installed edge-runtime do not know the extra {extra!r}; "
                "install edge-runtime again"
            )


def _pinned(wanted: Wanted) -> dict[str, str]:
    """Name to version specifier, of the user's pins; nothing has been fetched yet."""
    pins = {}
    for text in wanted.pins:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise KitError(
                f"{text!r} is no requirement: {error}; expected NAME==VERSION"
            ) from error
        exact = [s.version for s in requirement.specifier if s.operator == "=="]
        if len(exact) != 1 or len(requirement.specifier) != 1 or "*" in exact[0]:
            raise KitError(f"{text!r} pins nothing; expected NAME==VERSION")
        name = canonicalize_name(requirement.name)
        if name == "onnxruntime":
            wanted.target.check_onnxruntime(exact[0], wanted.onnxruntime)
        pins[str(name)] = f"=={exact[0]}"
    return pins


def _download(wanted: Wanted, own: Wheel, pins: Mapping[str, str], folder: Path) -> None:
    """Let pip resolve and fetch; it leaves the wheels in *folder*."""
    if find_spec("pip") is None:
        raise KitError(
            "pip is not installed here, and chooses the wheels; python -m ensurepip, or uv pip "
            "install pip"
        )
    denied = [
        f"!={entry.version}" for entry in DENIED if entry.machine in (None, wanted.target.machine)
    ]
    bounds = ",".join([f">={wanted.onnxruntime}", *denied])
    constraints = folder / "constraints.txt"
    lines = [f"onnxruntime{bounds}", *(f"{name}{pin}" for name, pin in sorted(pins.items()))]
    constraints.write_text("\n".join(lines) + "\n", encoding="utf-8")
    extras = f"[{','.join(wanted.extras)}]" if wanted.extras else ""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-cache-dir" if wanted.wheels else "--progress-bar=off"),
        *("--dest", str(folder), "--constraint", str(constraints)),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={wanted.target.python}"),
        *(f"--platform={tag}" for tag in wanted.target.platforms),
        *_source(wanted.wheels),
        f"{own.path}{extras}",
        "pip",
    ]
    environment = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise KitError(_remedy(wanted, " ".join(told[-2:]) or done.stderr.strip()[-300:]))


# pip's settings that would change where the wheels go, or add an index to a folder of wheels.
_DROPPED = {"PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_DEST", "PIP_REQUIRE_VIRTUALENV"}


def _source(wheels: Path | None) -> list[str]:
    if wheels is None:
        return []
    if not wheels.is_dir():
        raise KitError(f"{wheels} is no folder; expected one with wheels")
    return ["--isolated", "--no-index", f"--find-links={wheels}"]


def _remedy(wanted: Wanted, told: str) -> str:
    target = wanted.target
    what = f"Python {target.python} on {target.machine}"
    if wanted.wheels is not None:
        return (
            f"{wanted.wheels} lacks a wheel for {what}; expected numpy, onnxruntime, pip and what "
            f"they need there. pip says: {told}"
        )
    return (
        f"pip found no wheels for {what}: it needs a package index that has them; without one, "
        f"name a folder of wheels with --wheels. pip says: {told}"
    )
