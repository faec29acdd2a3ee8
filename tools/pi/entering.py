"""Run a program on an emulated board: namespaces, mounts, chroot, exec.

All mounts and registrations belong to namespaces of this process, and end with it.  The process
keeps its id, so signals and the exit status pass through.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boards import Board
from roots import UnavailableError

_CLONE_NEWNS, _CLONE_NEWUTS = 0x0002_0000, 0x0400_0000
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x4_0000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

# The first 20 bytes of a 64-bit little-endian ELF program for aarch64 (machine 183), and its mask.
_MAGIC = rb"\x7f\x45\x4c\x46\x02\x01\x01" + rb"\x00" * 9 + rb"\x02\x00\xb7\x00"
_MASK = rb"\xff" * 7 + rb"\x00" + rb"\xff" * 8 + rb"\xfe\xff\xff\xff"

PI_UID = 1000
SYSTEM_FOLDERS = ("bin", "dev", "etc", "lib", "proc", "sbin", "sys", "usr")


@dataclass(frozen=True)
class Stay:
    """The root, the board and the options of a program that runs inside."""

    root: Path
    qemu: Path
    board: Board
    hardware: Path
    scratch: Path
    """An empty folder of the host, to mount on."""
    card: Path | None = None
    """Where writes to the root are kept; without it they are gone with the command."""
    disk_mb: int | None = None
    """Without a card: room for what is written."""
    show: Sequence[Path] = ()
    """Folders of the host, shown at the same path, writable."""
    folder: str = "/root"
    user: str = "root"
    network: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def home_of(user: str) -> str:
    """Return the home of a user of the board."""
    return "/root" if user == "root" else f"/home/{user}"


def enter(stay: Stay, command: Sequence[str]) -> None:
    """Replace this process by *command* inside; return only by an exception."""
    _prepare(stay)
    os.chroot(stay.root)
    os.chdir(stay.folder)
    if stay.user == "pi":
        _become(PI_UID)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": home_of(stay.user),
        "USER": stay.user,
        "LANG": "C.UTF-8",
        "QEMU_CPU": stay.board.qemu_cpu,
        **({"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}),
        **stay.environment,
    }
    # Python ignores it, and an ignored signal would stay ignored in the command.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvpe(command[0], list(command), environment)


def can_enter(stay: Stay) -> str:
    """Return why this machine has no namespaces for *stay*; an empty text if it has."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            _prepare(stay)
            reason = ""
        except (OSError, UnavailableError) as error:
            reason = str(error) or type(error).__name__
        os.write(writer, reason.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, encoding="utf-8") as file:
        return file.read()


def run_plain(stay: Stay, command: Sequence[str]) -> None:
    """Replace this process by *command* under `qemu -L`, without isolation and children."""
    tree = stay.scratch.parent / f"plain-{stay.root.name}-{stay.hardware.name}"
    tree.mkdir(exist_ok=True)
    for name, target in (
        *((name, stay.root / name) for name in ("usr", "bin", "lib", "etc")),
        ("sys", stay.hardware / "sys"),
        ("proc/cpuinfo", stay.hardware / "cpuinfo"),
    ):
        (tree / name).parent.mkdir(exist_ok=True)
        if not (tree / name).is_symlink():
            (tree / name).symlink_to(target)
    program = command[0] if command[0].startswith("/") else f"/usr/bin/{command[0]}"
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "QEMU_CPU": stay.board.qemu_cpu,
        **stay.environment,
    }
    inside = f"{stay.root}{program}"
    start = inside if Path(inside).exists() else program
    os.execve(stay.qemu, [str(stay.qemu), "-L", str(tree), start, *command[1:]], environment)


def _prepare(stay: Stay) -> None:
    _unshare(_CLONE_NEWUSER, then=_map_ids)
    _unshare(_CLONE_NEWNS | _CLONE_NEWUTS | (0 if stay.network else _CLONE_NEWNET))
    _mount("none", Path("/"), "", _MS_REC | _MS_PRIVATE)
    socket.sethostname("raspberrypi")
    if not stay.network:
        _raise_loopback()
    _register(stay.qemu)
    _mount_root(stay)
    root = stay.root
    for name in ("proc", "dev"):
        _mount(f"/{name}", root / name, "", _MS_BIND | _MS_REC)
    _mount(stay.hardware / "sys", root / "sys", "", _MS_BIND)
    _mount(stay.hardware / "cpuinfo", root / "proc/cpuinfo", "", _MS_BIND)
    if stay.network:
        for name in ("etc/resolv.conf", "etc/ssl/certs"):
            if Path("/", name).exists():
                _mount(f"/{name}", root / name, "", _MS_BIND)
    for path in stay.show:
        if len(path.parts) < 2 or path.parts[1] in SYSTEM_FOLDERS:
            raise UnavailableError(f"{path} belongs to the system and cannot be shown inside")
        inside = root / path.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        _mount(path, inside, "", _MS_BIND | _MS_REC)
    if stay.user == "pi":
        os.chown(root / "home/pi", PI_UID, PI_UID)


def _mount_root(stay: Stay) -> None:
    """Lay a writable layer over the root, which itself is never written to."""
    if stay.card is None:
        size = f"size={stay.disk_mb}m," if stay.disk_mb else ""
        _mount("tmpfs", stay.scratch, "tmpfs", 0, f"{size}mode=755")
        layers = stay.scratch
    else:
        layers = stay.card
    for name in ("upper", "work"):
        (layers / name).mkdir(parents=True, exist_ok=True)
    paths = {"lowerdir": stay.root, "upperdir": layers / "upper", "workdir": layers / "work"}
    for path in paths.values():
        if any(mark in str(path) for mark in ",:\\"):
            raise UnavailableError(
                f"{path}: an overlay takes no path with a comma, colon or backslash"
            )
    options = ",".join(f"{name}={path}" for name, path in paths.items())
    _mount("overlay", stay.root, "overlay", 0, f"{options},userxattr")


def _register(qemu: Path) -> None:
    """Register QEMU for arm64 programs, in our namespace alone (Linux 6.7)."""
    place = Path("/proc/sys/fs/binfmt_misc")
    _mount("binfmt_misc", place, "binfmt_misc", 0)
    here = Path.cwd()
    os.chdir(qemu.parent)  # the kernel takes no more than 127 characters
    line = b":pi-arm64:M::" + _MAGIC + b":" + _MASK + f":./{qemu.name}:PF".encode()
    (place / "register").write_bytes(line)
    os.chdir(here)


def _map_ids(pid: int) -> None:
    """Map every user of the host for *pid* if we are root, otherwise ourselves to root."""
    proc = Path("/proc", str(pid))
    if os.geteuid() == 0:
        try:
            for name in ("uid_map", "gid_map"):
                (proc / name).write_text("0 0 65536")
            return
        except OSError:  # root of a container that has fewer users
            pass
    (proc / "setgroups").write_text("deny")
    for name, host in (("uid_map", os.geteuid()), ("gid_map", os.getegid())):
        (proc / name).write_text(f"0 {host} 1")


def _become(uid: int) -> None:
    try:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    except OSError as error:
        raise UnavailableError(
            f"cannot become user {uid}: only root can map a second user"
        ) from error


def _unshare(flags: int, *, then: Callable[[int], None] | None = None) -> None:
    """Leave the namespaces of *flags*; a child that stays calls *then* with our process id."""
    helper = _waiting_child(then) if then else None
    if _libc().unshare(flags):
        raise _error("unshare")
    if helper:
        child, writer = helper
        os.write(writer, b"1")
        os.close(writer)
        _, status = os.waitpid(child, 0)
        if status:
            raise UnavailableError("the kernel maps no users into a namespace of ours")


def _waiting_child(then: Callable[[int], None]) -> tuple[int, int]:
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child:
        os.close(reader)
        return child, writer
    os.close(writer)
    status = 1
    try:
        if os.read(reader, 1):
            then(parent)
            status = 0
    finally:
        os._exit(status)


def _raise_loopback() -> None:
    """Switch on 127.0.0.1, the only address that can be reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _mount(source: str | Path, target: Path, kind: str, flags: int, options: str = "") -> None:
    status = _libc().mount(
        str(source).encode(), str(target).encode(), kind.encode(), flags, options.encode()
    )
    if status:
        raise _error(f"mount {kind or source} on {target}")


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
    return libc


def _error(action: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{action}: {os.strerror(number)}")
