"""Build a wheel from the files of the installed edge-runtime.

So the board gets the code that the model was verified with.  This needs no network, no build tool
and no checkout, and works for an editable install too.  A file that differs from the installer's
record is refused.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import edge_runtime
from edge_pipeline.errors import KitError
from edge_pipeline.packaging.kit.wheels import Member, Wheel, write_wheel

__all__ = ["runtime_wheel"]

_TOP_LEVEL = ("edge_runtime", "edge_runtime_command.py", "edge_runtime_startup.py")

_WHEEL = "Wheel-Version: 1.0\nGenerator: edge-pipeline\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

# Caches: Python's, and those of tools that ran in a checkout.
_SKIPPED = re.compile(r"(^|/)(__pycache__|\.[^/]*)/|\.pyc$")

# Files that an installer adds to those of the wheel.
_INSTALLERS = {"RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}


def runtime_wheel(folder: Path) -> Wheel:
    """Write the wheel of the installed edge-runtime to *folder*.

    Raises
    ------
    KitError
        edge-runtime is not installed as a distribution, its version differs from its code's, or a
        file was changed.
    """
    try:
        installed = distribution("edge-runtime")
    except PackageNotFoundError as error:
        raise KitError(
            "edge-runtime is not installed as a distribution; pip install edge-runtime"
        ) from error
    if installed.version != edge_runtime.__version__:
        raise KitError(
            f"edge-runtime's metadata says {installed.version}, its code "
            f"{edge_runtime.__version__}; install it again"
        )
    _check_unchanged(installed)
    code = Path(edge_runtime.__file__).parent.parent
    members = {
        path.relative_to(code).as_posix(): Member(path.read_bytes())
        for path in _own_files(code, installed)
    }
    info = f"edge_runtime-{installed.version}.dist-info"
    members |= {f"{info}/{name}": Member(raw) for name, raw in _metadata(installed).items()}
    members[f"{info}/WHEEL"] = Member(_WHEEL.encode())
    return write_wheel(folder / f"edge_runtime-{installed.version}-py3-none-any.whl", members)


def _own_files(code: Path, installed: Distribution) -> list[Path]:
    """List the recorded files of the code; for an editable install, the files of its folder."""
    recorded = [
        Path(str(installed.locate_file(listed)))
        for listed in installed.files or ()
        if listed.parts[0] in _TOP_LEVEL
    ]
    inside = (path for name in _TOP_LEVEL for path in (code / name, *(code / name).rglob("*")))
    paths = recorded or [path for path in inside if path.is_file()]
    return [path for path in paths if not _SKIPPED.search(path.relative_to(code).as_posix())]


def _metadata(installed: Distribution) -> dict[str, bytes]:
    """Read the files of the dist-info folder that the wheel had."""
    contents = {}
    for listed in installed.files or ():
        if not listed.parts[0].endswith(".dist-info") or listed.name in _INSTALLERS:
            continue
        contents["/".join(listed.parts[1:])] = Path(str(installed.locate_file(listed))).read_bytes()
    if "METADATA" not in contents:
        raise KitError("the metadata of the installed edge-runtime is missing; install it again")
    return contents


def _check_unchanged(installed: Distribution) -> None:
    for listed in installed.files or ():
        if listed.hash is None or not re.fullmatch(r"sha(256|384|512)", listed.hash.mode):
            continue
        if listed.parts[0] == "..":  # the command's script
            continue
        raw = Path(str(installed.locate_file(listed))).read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.new(listed.hash.mode, raw).digest())
        if digest.rstrip(b"=").decode("ascii") != listed.hash.value:
            raise KitError(f"{listed} differs from what was installed; install edge-runtime again")
