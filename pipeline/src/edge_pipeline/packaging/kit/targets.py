"""The name of a board or platform in, a :class:`Target` that wheels can be chosen for out.

What no onnxruntime wheel exists for is refused here, by name and with the remedy.
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
"""Boards that kits are made for."""

OLDEST_PYTHON = (3, 11)
"""Oldest Python that edge-runtime runs on; Raspberry Pi OS bookworm has it."""

NEWEST_GLIBC = (2, 36)
"""Newest glibc a wheel may ask for: that of Debian 12, whose Raspberry Pi OS has Python 3.11."""

_OLDEST_GLIBC = 17

# Of the Cortex-A76 alone: what onnxruntime_versions asks of a CPU before it runs a release.
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
    """What a kit is made for.

    Attributes
    ----------
    name
        ``zero2``, ``3``, ``4``, ``5`` or ``x86-64``.
    told
        The same for people.
    machine
        What ``uname -m`` says there.
    python
        Its Python, as ``3.11``.
    features
        What its CPU can do beyond the others', in the words of /proc/cpuinfo.
    """

    name: str
    told: str
    machine: str
    python: str
    features: frozenset[str] = frozenset()

    @property
    def platforms(self) -> list[str]:
        """Tags of the wheels that fit, the best first (PEP 600)."""
        newest = NEWEST_GLIBC[1]
        tags = [f"manylinux_2_{minor}" for minor in range(newest, _OLDEST_GLIBC - 1, -1)]
        return [f"{tag}_{self.machine}" for tag in (*tags, "manylinux2014")]

    @property
    def markers(self) -> dict[str, str]:
        """The environment of requirements' markers (PEP 508)."""
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
        """Refuse an onnxruntime that must not run here, before anything is copied to a board.

        Raises
        ------
        UnsupportedRuntimeError
            It is on the deny list, or too old for the model or the runtime.
        """
        check_version(version, self.machine, required, features=self.features)


def find_target(
    board: str | None = None, *, platform: str | None = None, python: str = "3.11"
) -> Target:
    """The target that a board's or a platform's name stands for.

    Raises
    ------
    KitError
        No kit can run there; the message says what can be done.
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
    found = re.fullmatch(r"(\d{1,2})\.(\d{1,3})(\.\d{1,3})?", version)
    if found is None:
        raise KitError(f"{version!r} is no version of Python; expected one as 3.11 or 3.13")
    if (int(found[1]), int(found[2])) < OLDEST_PYTHON:
        raise KitError(
            f"Python {version} is too old, 3.11 or newer is needed; update the board's system: "
            "Raspberry Pi OS bookworm has 3.11, trixie 3.13"
        )
    return f"{found[1]}.{found[2]}"
