"""Run commands on a host, and copy files to it, through the user's own ``ssh``.

The user's configuration, agent and known hosts are used, with these exceptions.  ssh asks no
questions, since nobody may be there to answer.  It always refuses an unknown or changed host key,
and forwards nothing.
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

from edge_pipeline.deployment.board_output import MAX_BYTES, printable_text
from edge_pipeline.errors import DeployError

__all__ = ["Host"]

OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    # Two settings that would accept a host key that known_hosts does not have.
    "NoHostAuthenticationForLocalhost": "no",
    "VerifyHostKeyDNS": "no",
    "ConnectTimeout": "20",
    # A connection that was cut is noticed after a minute, instead of never.
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "RequestTTY": "no",
    "RemoteCommand": "none",
}
"""Options of ssh that override the user's configuration."""

MOST_SECONDS = 30 * 60
"""Time limit of one step on a board; pip takes two minutes to install onnxruntime on an SD card."""

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
        "it accepts none of your keys: ssh-copy-id {host}, or ssh-add the key; deploy never asks "
        "for a password",
    ),
)


@dataclass(frozen=True)
class Host:
    """A host that ``ssh`` can reach.

    Attributes
    ----------
    address
        Address that ``ssh`` accepts: ``user@host``, ``ssh://user@host:port``, or a name of
        ssh_config.
    """

    address: str

    def __post_init__(self) -> None:
        # An address that begins with "-" would be an option; ssh passes names to other programs.
        if not _ADDRESS.fullmatch(self.address):
            raise DeployError(
                f"{self.address!r:.80} is not a host; expected user@host, or a name of ssh_config"
            )

    def run(self, script: str, arguments: Sequence[str]) -> str:
        """Run *script* in a shell of the host, and return its output.

        Raises
        ------
        DeployError
            The connection failed, or the script did.
        """
        command = " ".join(["sh", "-s", "--", *map(quote, arguments)])
        return self._connect(command, [script.encode()])

    def send(self, parts: Mapping[str, bytes], folder: str) -> None:
        """Write *parts* to files of those names in *folder* on the host; make the folder.

        Raises
        ------
        DeployError
            The connection was cut, or the disk there is full.  Some files may be incomplete.
        """
        script = 'mkdir -p "$1" && tar -xmf - -C "$1"'
        command = " ".join(map(quote, ["sh", "-c", script, "sh", folder]))
        self._connect(command, [_tarred(name, raw) for name, raw in parts.items()] + [_TAR_END])

    def _connect(self, command: str, chunks: Sequence[bytes]) -> str:
        """Run *command* over one connection: write *chunks* to its input, return its output."""
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
            timed_out = threading.Event()

            def stop_process() -> None:
                timed_out.set()
                process.kill()

            timer = threading.Timer(MOST_SECONDS, stop_process)
            timer.start()
            try:
                out, err = _exchange(process, chunks)
            except BaseException:
                process.kill()
                raise
            finally:
                timer.cancel()
        if timed_out.is_set():
            raise DeployError(
                f"one step took more than {MOST_SECONDS // 60} minutes; look at the board, and "
                "deploy again",
                host=self.address,
            )
        if process.returncode == 0:
            return printable_text(out)
        raise DeployError(self._error_message(process.returncode, err), host=self.address)

    def _error_message(self, status: int, err: bytes) -> str:
        text = printable_text(err).strip()
        if status == _CONNECTION_FAILED:
            for words, remedy in _REMEDIES:
                if words in text:
                    return remedy.format(host=self.address)
            return f"the connection failed: {_last_lines(text) or 'ssh printed nothing'}"
        ours = [line[6:] for line in text.splitlines() if line.startswith("edge: ")]
        theirs = [line for line in text.splitlines() if line.startswith("edge-runtime: ")]
        if ours:
            return "; ".join([*theirs[-1:], ours[-1].replace(", see above", "")])
        return f"the board's shell failed ({status}): {_last_lines(text) or 'it printed nothing'}"


def _exchange(process: subprocess.Popen[bytes], chunks: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Write the input while threads read both outputs, so that neither side blocks the other."""
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    outputs = [b""] * len(streams)

    def read(index: int, stream: IO[bytes]) -> None:
        outputs[index] = stream.read(MAX_BYTES)
        while stream.read(MAX_BYTES):  # drop the rest, so that the host is not blocked
            pass

    readers = [threading.Thread(target=read, args=item, daemon=True) for item in enumerate(streams)]
    for reader in readers:
        reader.start()
    if process.stdin is not None:
        try:
            for chunk in chunks:
                process.stdin.write(chunk)
            process.stdin.close()
        except BrokenPipeError:  # ssh has ended; its status and its output say why
            pass
    for reader in readers:
        reader.join()
    process.wait()
    return outputs[0], outputs[1]


_TAR_END = bytes(2 * tarfile.BLOCKSIZE)


def _tarred(name: str, raw: bytes) -> bytes:
    """Return one file as the blocks of a tar archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(raw)
    entry.mode = 0o644
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(raw))
        length = archive.offset
    return buffer.getvalue()[:length]


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-2:])[-300:]
