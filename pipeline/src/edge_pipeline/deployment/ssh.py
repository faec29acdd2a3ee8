"""Commands for one host in, what it printed out; through the user's own ``ssh``.

Their configuration, agent and known hosts count.  What is fixed here: no questions, since nobody
may be there to answer; an unknown or changed host key is always refused, whatever the configuration
says; and no forwarding.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import IO

from edge_pipeline.deployment.board_output import MAX_BYTES, readable
from edge_pipeline.errors import DeployError

__all__ = ["Host"]

OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    # Two settings that would let a host in that known_hosts does not know.
    "NoHostAuthenticationForLocalhost": "no",
    "VerifyHostKeyDNS": "no",
    "ConnectTimeout": "20",
    # A connection that was cut shows after a minute, instead of never.
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "RequestTTY": "no",
    "RemoteCommand": "none",
}
"""What ssh is told, over the user's configuration."""

MOST_SECONDS = 30 * 60
"""One step on a board: a pip that installs onnxruntime from an SD card takes two minutes."""

_ADDRESS = re.compile(r"[A-Za-z0-9_\[][^\s'\"`$\\;&|<>(){}*?!\x00-\x1f\x7f]{0,254}")
_CONNECTION_FAILED = 255

_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its key is not the one in known_hosts: find out why before you remove the old one with "
        "ssh-keygen -R",
    ),
    (
        "Host key verification failed",
        "its key is not in known_hosts: connect once by hand (ssh {host}), and compare the "
        "fingerprint",
    ),
    (
        "Permission denied",
        "it accepts none of your keys: ssh-copy-id {host}, or ssh-add the key; passwords are not "
        "asked for",
    ),
)


@dataclass(frozen=True)
class Host:
    """Where a model goes to.

    Attributes
    ----------
    address
        As ``ssh`` takes it: ``user@host``, ``ssh://user@host:port``, or a name of ssh_config.
    """

    address: str

    def __post_init__(self) -> None:
        # What begins with "-" would be an option, and ssh hands a name to other programs.
        if not _ADDRESS.fullmatch(self.address):
            raise DeployError(
                f"{self.address!r:.80} is no host; expected user@host, or a name of ssh_config"
            )

    def run(self, script: str, arguments: Sequence[str]) -> str:
        """Have a shell there run *script*, and give what it printed.

        Raises
        ------
        DeployError
            The connection failed, or the script did.
        """
        command = " ".join(["sh", "-s", "--", *map(quote, arguments)])
        return self._talk(command, [script.encode()])

    def send(self, parts: Mapping[str, bytes], folder: str) -> None:
        """Write *parts* to files of those names in *folder* there, which is made.

        Raises
        ------
        DeployError
            The connection was cut, or the disk there is full; some files may be cut short.
        """
        script = 'mkdir -p "$1" && tar -xmf - -C "$1"'
        command = " ".join(map(quote, ["sh", "-c", script, "sh", folder]))
        self._talk(command, [_tarred(name, raw) for name, raw in parts.items()] + [_TAR_END])

    def _talk(self, command: str, chunks: Sequence[bytes]) -> str:
        """One connection: *chunks* to the command's input, its output back."""
        program = shutil.which("ssh")
        if program is None:
            raise DeployError("ssh is not installed here; sudo apt install openssh-client")
        options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
        with subprocess.Popen(
            [program, *options, "--", self.address, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            late = threading.Event()

            def give_up() -> None:
                late.set()
                process.kill()

            watch = threading.Timer(MOST_SECONDS, give_up)
            watch.start()
            try:
                out, err = _exchange(process, chunks)
            except BaseException:
                process.kill()
                raise
            finally:
                watch.cancel()
        if late.is_set():
            raise DeployError(
                f"it took more than {MOST_SECONDS // 60} minutes over one step; look at the board, "
                "and deploy again",
                host=self.address,
            )
        if process.returncode == 0:
            return readable(out)
        raise DeployError(self._told(process.returncode, err), host=self.address)

    def _told(self, status: int, err: bytes) -> str:
        text = readable(err).strip()
        if status == _CONNECTION_FAILED:
            for words, remedy in _REMEDIES:
                if words in text:
                    return remedy.format(host=self.address)
            return f"the connection failed: {_last_lines(text) or 'ssh said nothing'}"
        ours = [line[6:] for line in text.splitlines() if line.startswith("edge: ")]
        theirs = [line for line in text.splitlines() if line.startswith("edge-runtime: ")]
        if ours:
            return "; ".join([*theirs[-1:], ours[-1].replace(", see above", "")])
        return f"the board's shell failed ({status}): {_last_lines(text) or 'it said nothing'}"


def _exchange(process: subprocess.Popen[bytes], chunks: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Write the input while output and errors are read: neither side may wait for the other."""
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    found = [b""] * len(streams)

    def read(place: int, stream: IO[bytes]) -> None:
        found[place] = stream.read(MAX_BYTES)
        while stream.read(MAX_BYTES):  # whoever says more is let talk, and not listened to
            pass

    readers = [threading.Thread(target=read, args=item, daemon=True) for item in enumerate(streams)]
    for reader in readers:
        reader.start()
    if process.stdin is not None:
        try:
            for chunk in chunks:
                process.stdin.write(chunk)
            process.stdin.close()
        except BrokenPipeError:  # ssh has ended; its status and its words say why
            pass
    for reader in readers:
        reader.join()
    process.wait()
    return found[0], found[1]


_TAR_END = bytes(2 * tarfile.BLOCKSIZE)


def _tarred(name: str, raw: bytes) -> bytes:
    """One file as it stands in a tar archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(raw)
    entry.mode = 0o644
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(raw))
        length = archive.offset
    return written.getvalue()[:length]


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-2:])[-300:]
