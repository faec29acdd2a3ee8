"""Describe the boards: the CPU that QEMU emulates, and the kernel's files about that CPU."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Board:
    """A Raspberry Pi that runs a 64-bit system."""

    name: str
    model: str
    """As /sys/firmware/devicetree/base/model spells it."""
    revision: str
    qemu_cpu: str
    part: int
    """The CPU part of its MIDR register: 0xd03 Cortex-A53, 0xd08 A72, 0xd0b A76."""
    variant: int
    stepping: int
    features: str
    khz: tuple[int, int]
    """The slowest and the fastest clock."""


_ARMV8 = "fp asimd evtstrm crc32 cpuid"
_ARMV82 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop"
    " asimddp"
)

BOARDS = {
    board.name: board
    for board in (
        Board(
            name="zero2",
            model="Raspberry Pi Zero 2 W Rev 1.0",
            revision="902120",
            qemu_cpu="cortex-a53",
            part=0xD03,
            variant=0,
            stepping=4,
            features=_ARMV8,
            khz=(600_000, 1_000_000),
        ),
        Board(
            name="3",
            model="Raspberry Pi 3 Model B Rev 1.2",
            revision="a02082",
            qemu_cpu="cortex-a53",
            part=0xD03,
            variant=0,
            stepping=4,
            features=_ARMV8,
            khz=(600_000, 1_200_000),
        ),
        Board(
            name="4",
            model="Raspberry Pi 4 Model B Rev 1.4",
            revision="c03114",
            qemu_cpu="cortex-a72",
            part=0xD08,
            variant=0,
            stepping=3,
            features=_ARMV8,
            khz=(600_000, 1_800_000),
        ),
        Board(
            name="5",
            model="Raspberry Pi 5 Model B Rev 1.0",
            revision="c04170",
            qemu_cpu="cortex-a76",
            part=0xD0B,
            variant=4,
            stepping=1,
            features=_ARMV82,
            khz=(1_500_000, 2_400_000),
        ),
    )
}

MAX_CPUS = 4
"""Cores of every board.  onnxruntime pins a thread to each core, so there must not be more."""


def cpu_count() -> int:
    """Return the number of cores of the emulated board."""
    return min(MAX_CPUS, len(os.sched_getaffinity(0)))


def cpuinfo(board: Board, cpus: int) -> str:
    """Return the text of /proc/cpuinfo on *board*."""
    core = (
        "processor\t: {n}\nBogoMIPS\t: 108.00\n"
        f"Features\t: {board.features}\n"
        "CPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: {board.variant:#x}\nCPU part\t: {board.part:#x}\n"
        f"CPU revision\t: {board.stepping}\n\n"
    )
    cores = "".join(core.format(n=n) for n in range(cpus))
    serial = "0" * 16
    return f"{cores}Revision\t: {board.revision}\nSerial\t\t: {serial}\nModel\t\t: {board.model}\n"


def make_hardware(board: Board, place: Path) -> Path:
    """Return a folder with `cpuinfo` and `sys` of *board*, made once below *place*."""
    cpus = cpu_count()
    folder = place / f"{board.name}-{cpus}"
    if folder.exists():
        return folder
    place.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="new.", dir=place))
    new.chmod(0o755)
    for path, text in _files(board, cpus).items():
        file = new / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
    try:
        new.rename(folder)
    except OSError:  # another run has made it
        shutil.rmtree(new)
    return folder


def _files(board: Board, cpus: int) -> dict[str, str]:
    every = f"0-{cpus - 1}" if cpus > 1 else "0"
    cpu = "sys/devices/system/cpu"
    files = {
        "cpuinfo": cpuinfo(board, cpus),
        "sys/firmware/devicetree/base/model": f"{board.model}\0",
        f"{cpu}/kernel_max": "255\n",
        **{f"{cpu}/{name}": f"{every}\n" for name in ("possible", "present", "online")},
    }
    for n in range(cpus):
        core = f"{cpu}/cpu{n}"
        files[f"{core}/topology/physical_package_id"] = "0\n"
        files[f"{core}/topology/core_id"] = f"{n}\n"
        for name in ("core_siblings_list", "package_cpus_list", "cluster_cpus_list"):
            files[f"{core}/topology/{name}"] = f"{every}\n"
        files[f"{core}/cpufreq/cpuinfo_min_freq"] = f"{board.khz[0]}\n"
        files[f"{core}/cpufreq/cpuinfo_max_freq"] = f"{board.khz[1]}\n"
    return files
