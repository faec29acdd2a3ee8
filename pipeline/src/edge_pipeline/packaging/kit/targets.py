"""Find the :class:`Target` that the name of a board or platform stands for.

A target for which onnxruntime has no wheel is refused, with the reason and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge_runtime.onnxruntime_versions import check_version

from edge_pipeline.errors import KitError

__all__ = ["BOARDS", "NEWEST_GLIBC", "OLDEST_PYTHON", "Target", "find_target"]

BOARDS: Mapping[str, str] = {
    "zero2": "Raspberry Pi Zero 2 W (Cortex-A53)",
    "3": "Raspberry Pi 3 (Cortex-A53)",
    "4": "Raspberry Pi 4 (Cortex-A72)",
    "5": "Raspberry Pi 5 (Cortex-A76)",
}
"""Boards for which kits can be made."""

OLDEST_PYTHON = (3, 11)
"""Oldest Python that edge-runtime runs on; Raspberry Pi OS bookworm has it."""

NEWEST_GLIBC = (2, 36)
"""Newest glibc that a wheel may need: Debian 12 has it, the oldest system with Python 3.11."""

_OLDEST_GLIBC = 17

# CPU features of the Cortex-A76 alone; onnxruntime_versions needs them for some releases.
_HALF_PRECISION = frozenset({"asimdhp", "fphp"})

_ARM32 = (
    "is 32-bit ARM, for which onnxruntime has no wheel; take a 64-bit board (Zero 2 W, 3, 4, 5) "
    "with the 64-bit Raspberry Pi OS"
)
_X86_32 = "is 32-bit x86, for which onnxruntime has no wheel; take a 64-bit system: x86-64"
_MUSL = (
    "means musl, for which onnxruntime has no wheel; take a system with glibc: Debian, Ubuntu, "
    "Raspberry Pi OS"
)

_REFUSED: tuple[tuple[str, str], ...] = (
    (
        r"zero(-?w)?|zero-?1(\.\d)?|pico.*|[12](b\+?|b|a\+?)?|armv[5-7].*|arm|armhf|armel|arm32",
        _ARM32,
    ),
    (r"i[3-6]86|x86|x86-32|ia32", _X86_32),
    (r".*(musl|alpine).*", _MUSL),
)


@dataclass(frozen=True)
class Target:
    """A board or platform, with its Python version.

    Attributes
    ----------
    name
        ``zero2``, ``3``, ``4``, ``5`` or ``x86-64``.
    description
        The name for people, as ``Raspberry Pi 4 (Cortex-A72)``.
    machine
        Machine as ``uname -m`` prints it there.
    python
        Python version, as ``3.11``.
    features
        CPU features beyond those of the other boards, named as in /proc/cpuinfo.
    """

    name: str
    description: str
    machine: str
    python: str
    features: frozenset[str] = frozenset()

    @property
    def platforms(self) -> list[str]:
        """Return the platform tags of wheels that run there, the best first (PEP 600)."""
        newest = NEWEST_GLIBC[1]
        tags = [f"manylinux_2_{minor}" for minor in range(newest, _OLDEST_GLIBC - 1, -1)]
        return [f"{tag}_{self.machine}" for tag in (*tags, "manylinux2014")]

    @property
    def markers(self) -> dict[str, str]:
        """Return the environment for the markers of requirements (PEP 508)."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }

    def check_onnxruntime(self, version: str, required: str) -> None:
        """Refuse an onnxruntime that must not run on this target.

        Raises
        ------
        UnsupportedRuntimeError
            The version is on the deny list, or too old for the model or edge-runtime.
        """
        check_version(version, self.machine, required, features=self.features)


def find_target(
    board: str | None = None, *, platform: str | None = None, python: str = "3.11"
) -> Target:
    """Return the target of the board or platform of this name.

    Raises
    ------
    KitError
        No kit can run there; the message has the remedy.
    """
    if (board is None) == (platform is None):
        raise KitError(f"name either a board ({', '.join(BOARDS)}) or the platform x86-64")
    name = (board or platform or "").strip().lower().replace("_", "-")
    name = re.sub(r"^(raspberry-?|r)?pi-?", "", name) if board is not None else name
    if board is not None and name in BOARDS:
        features = _HALF_PRECISION if name == "5" else frozenset()
        return Target(name, BOARDS[name], "aarch64", _checked_python(python), features)
    if name in ("x86-64", "amd64"):
        return Target("x86-64", "Linux x86-64", "x86_64", _checked_python(python))
    for pattern, reason in _REFUSED:
        if re.fullmatch(pattern, name):
            raise KitError(f"{board or platform} {reason}")
    raise KitError(
        f"{board or platform!r} is unknown; expected a board ({', '.join(BOARDS)}) or the platform "
        "x86-64"
    )


def _checked_python(version: str) -> str:
    match = re.fullmatch(r"(\d{1,2})\.(\d{1,3})(\.\d{1,3})?", version)
    if match is None:
        raise KitError(f"{version!r} is not a Python version; expected one such as 3.11 or 3.13")
    if (int(match[1]), int(match[2])) < OLDEST_PYTHON:
        raise KitError(
            f"Python {version} is too old, 3.11 or newer is needed; update the board's system: "
            "Raspberry Pi OS bookworm has 3.11, trixie 3.13"
        )
    return f"{match[1]}.{match[2]}"
