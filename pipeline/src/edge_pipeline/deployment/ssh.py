"""Run commands on a host, and copy files to it, through the user's own ``ssh``.

The user's configuration, agent and known hosts are used, with these exceptions.  ssh asks no
questions, since nobody may be there to answer.  It always refuses an unknown or changed host key,
and forwards nothing.
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from edge_pipeline.deployment.board_output import printable_text
from edge_pipeline.deployment.exchange import exchange
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

_URI = re.compile(
    r"ssh://(?P<user>[^@/:\[\]]+@)?(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<name>[^@/:\[\]]+))"
    r"(?::(?P<port>6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]?\d{1,4}))?/?"
)
_ADDRESS = re.compile(r"[A-Za-z0-9_:\[][^\s'\"`$\\;&|<>(){}*?!\x00-\x1f\x7f]{0,254}")
_CONNECTION_FAILED = 255

# Unpacks stdin into the folder $1.  After an error only parts whose name is their digest stay, and
# none on a full disk.
_RECEIVE = """
mkdir -p "$1" && errors=$(LC_ALL=C tar -xmf - -C "$1" 2>&1) && exit 0
printf '%s\\n' "$errors" >&2
case $errors in *'No space left'* | *'uota exceeded'* | *'Wrote only'*)
    rm -rf "$1"
    echo 'edge: the disk is full; the copied parts were removed again' >&2 ;;
esac
for part in "$1"/*; do
    [ "$(sha256sum <"$part" 2>/dev/null | cut -c 1-64)" = "${part##*/}" ] || rm -f "$part"
done
exit 1
"""

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
        _check_form(self.address)

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
        command = " ".join(map(quote, ["sh", "-c", _RECEIVE, "sh", folder]))
        self._connect(command, [_tarred(name, raw) for name, raw in parts.items()] + [_TAR_END])

    def _connect(self, command: str, chunks: Sequence[bytes]) -> str:
        """Run *command* over one connection: write *chunks* to its input, return its output."""
        program = shutil.which("ssh")
        if program is None:
            raise DeployError("ssh is not installed here; sudo apt install openssh-client")
        options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
        try:
            status, out, err = exchange(
                [program, *options, *self._destination(), command], chunks, seconds=MOST_SECONDS
            )
        except TimeoutError as error:
            raise DeployError(
                f"one step took more than {MOST_SECONDS // 60} minutes; look at the board, and "
                "deploy again",
                host=self.address,
            ) from error
        if status == 0:
            return printable_text(out)
        raise DeployError(self._error_message(status, err), host=self.address)

    def _destination(self) -> list[str]:
        """Return the address as arguments; ssh itself refuses IPv6 addresses in ssh://."""
        match = _URI.fullmatch(self.address)
        if match is None:
            return ["--", self.address]
        port = [f"-oPort={match['port']}"] if match["port"] else []
        return [*port, "--", f"{match['user'] or ''}{match['ipv6'] or match['name']}"]

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


def _check_form(address: str) -> None:
    """Refuse forms that ssh would look up as a name, with the form that it understands."""
    if address.startswith("ssh://"):
        if not _URI.fullmatch(address):
            raise DeployError(
                f"{address!r:.80} is not a host; expected ssh://user@host:port, with [] around an "
                "IPv6 address, and no path"
            )
        return
    if "://" in address:
        raise DeployError(f"{address!r:.80} is not a host; expected user@host, or ssh://host:port")
    user, at, name = address.rpartition("@")
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.%\w]+)\](?::(\d+))?", name)
    with_port = re.fullmatch(r"([^:\[\]]+):(\d+)", name)
    if with_port or (bracketed and bracketed[2]):
        remedy = f"write ssh://{address}"
    elif bracketed:
        remedy = f"write {user}{at}{bracketed[1]}"
    elif re.fullmatch(r"[^:]*:[^:]*", name) or "[" in name or "]" in name or "/" in name:
        remedy = "expected user@host, or ssh://user@host:port; name a folder with --folder"
    else:
        return
    raise DeployError(f"{address!r:.80} is not a host; {remedy}")


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
