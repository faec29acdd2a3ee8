"""Read the keys that this device trusts, and refuse bundles that none of them has signed.

The arithmetic of a signature is in ``signatures``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.bundle.atomic_file import write_whole
from edge_runtime.bundle.regular_file import read_regular
from edge_runtime.errors import TrustError, UnsignedError, UntrustedKeyError
from edge_runtime.trust.ownership import check_ownership
from edge_runtime.trust.public_key import MAX_KEY_FILE_BYTES, PublicKey

if TYPE_CHECKING:
    from edge_runtime.bundle.seal import Seal

__all__ = ["MAX_KEYS", "TrustStore", "TrustedKeys", "as_trusted_keys", "read_key_file"]

MAX_KEYS = 1000
"""Most key files in one folder."""

MAX_REVOKED_BYTES = 1 << 20
"""Most bytes of a list of revoked keys: 60,000 ids."""

_REVOKED = "revoked.txt"
_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class TrustedKeys:
    """The keys whose signatures are accepted, and the ids of revoked keys."""

    keys: Mapping[str, PublicKey]
    revoked: frozenset[str] = frozenset()

    def check(self, seal: Seal) -> None:
        """Refuse a seal that none of the keys has signed.

        Raises
        ------
        UnsignedError, UntrustedKeyError
            The seal is unsigned, or signed by a key that is unknown or revoked.
        SignatureError
            The signature does not belong to the named key and this seal.
        TrustError
            The ``signing`` extra is not installed.
        """
        accepted = ", ".join(sorted(self.keys.keys() - self.revoked)) or "none"
        if not seal.is_signed:
            raise UnsignedError(
                f"the bundle is unsigned, expected one signed by a trusted key ({accepted}); "
                "sign it with edge-pipeline sign"
            )
        key_id = seal.key_id
        if key_id in self.revoked:
            raise UntrustedKeyError(
                f"the bundle is signed by key {key_id}, which is revoked; sign it with another key",
                key_id=key_id,
                revoked=True,
            )
        if key_id not in self.keys:
            raise UntrustedKeyError(
                f"the bundle is signed by key {key_id}, trusted here: {accepted}; if you know that "
                "key, run edge-runtime trust add with its public key",
                key_id=key_id,
                revoked=False,
            )
        from edge_runtime.trust.signatures import verify

        verify(seal, self.keys[key_id])


class TrustStore:
    """Folders of trusted keys: a ``.pem`` file for each, and ``revoked.txt`` with key ids.

    The keys and revocations of all folders apply; only the first folder is written to.

    Parameters
    ----------
    folders
        Paths of the folders; they need not exist.
    """

    def __init__(self, *folders: str | os.PathLike[str]) -> None:
        if not folders:
            raise ValueError("a trust store needs at least one folder")
        self.folders = tuple(Path(folder) for folder in folders)

    def read(self) -> TrustedKeys:
        """Read the keys and revocations in the folders.

        Raises
        ------
        TrustError
            A file is no public key or no list of key ids, or another user may write to it or to a
            folder on its path.
        OSError
            A file cannot be read.
        """
        keys: dict[str, PublicKey] = {}
        revoked: set[str] = set()
        for folder in self.folders:
            for path in _key_files(folder):
                key = _read_key(path)
                keys[key.key_id] = key
            revoked |= _read_revoked(folder)
        return TrustedKeys(keys, frozenset(revoked))

    def places(self) -> Iterator[tuple[Path, PublicKey]]:
        """Iterate over the key files and their keys."""
        for folder in self.folders:
            for path in _key_files(folder):
                yield path, _read_key(path)

    def add(self, pem: bytes, *, source: str = "the key") -> PublicKey:
        """Trust a key.

        Raises
        ------
        TrustError
            It is no public key, or is revoked here.
        """
        key = PublicKey.from_pem(pem, source=source)
        if key.key_id in self.read().revoked:
            raise TrustError(f"key {key.key_id} is revoked on this device; make a new key")
        self._make_folder()
        write_whole(key.to_pem(), self.folders[0] / f"{key.key_id}.pem")
        return key

    def remove(self, key_id: str) -> None:
        """Stop trusting a key: bundles that it signed then have an unknown key.

        Raises
        ------
        TrustError
            The first folder does not have it.
        """
        _check_id(key_id)
        own = TrustStore(self.folders[0])
        paths = [path for path, key in own.places() if key.key_id == key_id]
        if not paths:
            raise TrustError(f"{self.folders[0]} has no key {key_id}")
        for path in paths:
            path.unlink()

    def revoke(self, key_id: str) -> None:
        """Refuse all bundles of a key, whether it is known here or not."""
        _check_id(key_id)
        self._make_folder()
        revoked_ids = sorted(_read_revoked(self.folders[0]) | {key_id})
        text = "".join(f"{revoked_id}\n" for revoked_id in revoked_ids)
        write_whole(text.encode("ascii"), self.folders[0] / _REVOKED)

    def _make_folder(self) -> None:
        folder = self.folders[0]
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            # Not parents=True: it would let a group write where the umask lets it.
            path.mkdir(mode=0o755, exist_ok=True)
        check_ownership(folder)


def as_trusted_keys(
    keys: TrustedKeys | TrustStore | Sequence[str | os.PathLike[str] | bytes],
) -> TrustedKeys:
    """Read the trusted keys that a caller names: PEM files or their bytes, or a store.

    Raises
    ------
    TrustError
        There is none, or one cannot be read.  An empty list is an error: it would refuse every
        bundle.  To check no signatures, pass None to :func:`edge_runtime.load`.
    """
    if isinstance(keys, TrustStore):
        trusted_keys = keys.read()
    elif isinstance(keys, TrustedKeys):
        trusted_keys = keys
    elif isinstance(keys, str | bytes | os.PathLike):
        raise TypeError("trusted_keys must be a list of PEM files, or a TrustStore")
    else:
        public_keys = [
            PublicKey.from_pem(key) if isinstance(key, bytes) else _read_key(key) for key in keys
        ]
        trusted_keys = TrustedKeys({key.key_id: key for key in public_keys})
    if not trusted_keys.keys:
        raise TrustError("no trusted keys: every bundle would be refused; name at least one")
    return trusted_keys


def read_key_file(path: str | os.PathLike[str]) -> bytes:
    """Read a file that should be a key; refuse pipes, devices and large files.

    Raises
    ------
    TrustError
        It is no regular file, or too large.
    OSError
        It cannot be read.
    """
    return read_regular(path, max_bytes=MAX_KEY_FILE_BYTES, error=_no_key)


def _read_key(path: str | os.PathLike[str]) -> PublicKey:
    """Read a key that nobody but root and this user can have written."""
    check_ownership(path)
    return PublicKey.from_pem(read_key_file(path), source=os.fspath(path))


def _key_files(folder: Path) -> list[Path]:
    try:
        check_ownership(folder)
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".pem")
    except FileNotFoundError:
        return []
    if len(paths) > MAX_KEYS:
        raise TrustError(f"{folder} has {len(paths)} keys, this runtime reads up to {MAX_KEYS}")
    return paths


def _read_revoked(folder: Path) -> frozenset[str]:
    path = folder / _REVOKED
    try:
        check_ownership(path)
        raw = read_regular(path, max_bytes=MAX_REVOKED_BYTES, error=TrustError)
    except FileNotFoundError:
        return frozenset()
    text = raw.decode("ascii", "replace")
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    revoked_ids = frozenset(filter(None, lines))
    for revoked_id in sorted(revoked_ids):
        # Do not skip a malformed line: it may be meant to revoke a key.
        _check_id(revoked_id, source=f"{path}: ")
    return revoked_ids


def _no_key(reason: str) -> TrustError:
    return TrustError(f"{reason}; expected a public key in PEM")


def _check_id(key_id: str, *, source: str = "") -> None:
    if not _KEY_ID.fullmatch(key_id):
        raise TrustError(f"{source}{key_id!r:.60} is no key id; expected 16 digits 0-9 and a-f")
