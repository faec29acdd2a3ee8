"""Build a folder with an arm64 system from Debian's archive, without root and without Docker.

The host's apt resolves and downloads the packages, with its own state and arm64 as its only
architecture; dpkg-deb unpacks them.  No maintainer script runs, and nothing of the host changes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SUITES = {"3.11": "bookworm", "3.13": "trixie"}
"""Python version to Debian release, which Raspberry Pi OS follows."""

PACKAGES = (
    *("base-files", "bash", "coreutils", "dash", "findutils", "grep", "gzip", "hostname"),
    *("libc-bin", "libstdc++6", "mawk", "procps", "python3", "python3-venv", "sed", "tar"),
    "util-linux",
)
"""Packages of Raspberry Pi OS Lite that our scripts may use; python3-venv has pip's wheel."""

USER = "pi"
"""User that Raspberry Pi Imager suggests, with the id 1000."""

RECIPE = 2
"""Increase it when `_build` changes: older roots are then built again."""

SECONDS = 600
"""Time limit of one call of apt-get, which takes 10 s."""

STAMP = "usr/share/pi/stamp"
QEMU = "usr/share/pi/qemu"


class UnavailableError(Exception):
    """No board can be emulated on this machine; the message says what is missing."""


def root_for(python: str, extra: Sequence[str], place: Path) -> Path:
    """Return the root with *python* and the packages *extra*; build it if it is missing.

    Each set of packages has its own folder, so no root is replaced while a command runs in it.
    """
    suite = SUITES[python]
    root = place / "+".join((suite, *sorted(set(extra))))
    for tool in ("apt-get", "dpkg-deb", "tar"):
        if shutil.which(tool) is None and not root.exists():
            raise UnavailableError(f"no {tool}: roots are built on Debian or a system made from it")
    place.mkdir(parents=True, exist_ok=True)
    packages = sorted({*PACKAGES, *extra})
    with _locked(place / f"{root.name}.lock"):
        if _stamp_of(root) != [str(RECIPE), *packages]:
            _build(root, suite, packages)
    return root


def qemu_of(root: Path) -> Path:
    """Return the static QEMU that runs the programs of *root*."""
    installed = shutil.which("qemu-aarch64-static")
    return Path(installed) if installed else root / QEMU


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp_of(root: Path) -> list[str]:
    try:
        return (root / STAMP).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []


def _build(root: Path, suite: str, packages: Sequence[str]) -> None:
    work = root.with_name(f"{root.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    new = work / "root"
    apt = _Apt(work)
    try:
        apt.run("update")
        if shutil.which("qemu-aarch64-static") is None:
            _take_qemu(apt, new / QEMU)
        if suite != _host_suite():
            apt.use(suite)
        apt.run("install", "--download-only", "--assume-yes", "--no-install-recommends", *packages)
        _skeleton(new)
        for package in sorted(apt.archives.glob("*.deb")):
            _unpack(package, new)
        _finish(new)
        (new / STAMP).write_text(f"{RECIPE}\n" + "\n".join(packages) + "\n", encoding="utf-8")
        if root.exists():
            shutil.rmtree(root)
        new.rename(root)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _host_suite() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return ""


class _Apt:
    """The host's apt-get, its sources and keys, with a state and a cache of its own in *work*."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.archives = work / "cache/archives"
        self.options: list[str] = []
        for folder in (work / "state/lists/partial", self.archives / "partial"):
            folder.mkdir(parents=True)
        (work / "status").touch()
        self.native = _output(["dpkg", "--print-architecture"]).strip()
        architectures = f'"arm64"; "{self.native}";' if self.native != "arm64" else '"arm64";'
        (work / "apt.conf").write_text(
            f"""
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
APT::Architecture "arm64";
APT::Architectures {{ {architectures} }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::State "{work}/state/";
Dir::State::lists "{work}/state/lists/";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache/";
Dir::Log "{work}/";
""",
            encoding="utf-8",
        )

    def run(self, *arguments: str, cwd: Path | None = None) -> None:
        process = self._start("apt-get", "-qq", *self.options, *arguments, cwd=cwd)
        # apt-get update warns of an unreachable source, and exits with 0.
        unreachable = arguments[0] == "update" and "Failed to fetch" in process.stderr
        if process.returncode or unreachable:
            reason = " ".join(process.stderr.split())[-400:] or "no reason given"
            raise UnavailableError(f"apt-get {arguments[0]} failed: {reason}")

    def use(self, suite: str) -> None:
        """Use another Debian release, from the mirrors of the host's sources."""
        host = _host_suite()
        filters = ("Created-By: Packages", "Origin: Debian", "Component: main")
        targets = self._start(
            "apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)",
            *filters, "Architecture: arm64",
        ).stdout  # fmt: skip
        lines = sorted({line for line in targets.splitlines() if line.split()[1:]})
        if not host or not lines:
            raise UnavailableError("apt's own sources name no Debian archive")
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        sources = self.work / "sources.list"
        sources.write_text(
            "".join(
                f"deb [signed-by={keys}] {site} {name.replace(host, suite, 1)} main\n"
                for site, name in map(str.split, lines)
            ),
            encoding="utf-8",
        )
        self.options = ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-"]
        self.run("update")

    def _start(
        self, program: str, *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        # APT_CONFIG is read after the host's own settings, so that ours win.
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        try:
            return subprocess.run(
                [program, "-c", str(self.work / "apt.conf"), *arguments],
                cwd=cwd or self.work, env=environment,
                capture_output=True, text=True, check=False, timeout=SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{program} {arguments[0]} took {SECONDS} s") from error


def _take_qemu(apt: _Apt, to: Path) -> None:
    """Extract one static binary from a package that is 30 times larger."""
    to.parent.mkdir(parents=True)
    folder = apt.work / "qemu"
    # Up to bookworm the static programs have a package of their own.
    for package, program in (
        ("qemu-user-static", "qemu-aarch64-static"),
        ("qemu-user", "qemu-aarch64"),
    ):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            apt.run("download", f"{package}:{apt.native}", cwd=folder)
        except UnavailableError:
            continue
        (deb,) = folder.glob("*.deb")
        _unpack(deb, folder, f"./usr/bin/{program}")
        binary = folder / "usr/bin" / program
        if binary.is_file() and b"qemu-aarch64" in _output([binary, "--version"]).encode():
            binary.rename(to)
            return
    raise UnavailableError("no package with a static qemu-aarch64 in apt's sources")


def _skeleton(new: Path) -> None:
    for folder in (
        *("dev", "etc/ssl/certs", "home/pi", "proc", "root", "run/sshd", "sys", "tmp"),
        *("usr/bin", "usr/lib", "usr/sbin", "usr/share/pi", "var/tmp"),
    ):
        (new / folder).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib"):
        (new / name).symlink_to(f"usr/{name}")


def _unpack(package: Path, to: Path, *members: str) -> None:
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as source:
        process = subprocess.run(
            ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(to), *members],
            stdin=source.stdout, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if (process.returncode or source.returncode) and not members:
        raise UnavailableError(f"cannot unpack {package.name}: {process.stderr.strip()[-300:]}")


def _finish(new: Path) -> None:
    """Make the links and files that the maintainer scripts would make."""
    for link, target in (("sh", "dash"), ("awk", "mawk")):
        path = new / "usr/bin" / link
        if not path.exists():
            path.symlink_to(target)
    for name, text in {
        "passwd": "root:x:0:0:root:/root:/bin/bash\n"
        "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
        f"{USER}:x:1000:1000::/home/{USER}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": "root:x:0:\ntty:x:5:\npi:x:1000:\nnogroup:x:65534:\n",
        "shadow": "root:*:19000:0:99999:7:::\npi:*:19000:0:99999:7:::\n",
        "hosts": "127.0.0.1 localhost raspberrypi\n",
        "hostname": "raspberrypi\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "resolv.conf": "",
    }.items():
        (new / "etc" / name).write_text(text, encoding="ascii")
    sshd = new / "usr/share/openssh/sshd_config"
    if sshd.exists():
        shutil.copyfile(sshd, new / "etc/ssh/sshd_config")
    for name in ("tmp", "var/tmp"):
        (new / name).chmod(0o1777)


def _output(command: Sequence[str | Path]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
