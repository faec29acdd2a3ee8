"""Public keys in, the decision whether a seal's signature counts on this device out.

Key files are the PEM that OpenSSL writes for an Ed25519 public key (RFC 8410).  They are read here
without a cryptographic library: 32 bytes behind a fixed head.  ``signing`` does the arithmetic.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.bundle.atomic_file import write_whole
from edge_runtime.errors import TrustError, UnsignedError, UntrustedKeyError
from edge_runtime.trust.public_key import MAX_KEY_FILE_BYTES, PublicKey

if TYPE_CHECKING:
    from edge_runtime.bundle.seal import Seal

__all__ = ["MAX_KEYS", "TrustStore", "TrustedKeys", "as_trusted_keys"]

MAX_KEYS = 1000
"""Key files read from one folder."""

_REVOKED = "revoked.txt"
_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class TrustedKeys:
    """The keys whose signatures count, and the ids of those that do not count any more."""

    keys: Mapping[str, PublicKey]
    revoked: frozenset[str] = frozenset()

    def check(self, seal: Seal) -> None:
        """Refuse a seal that none of the keys has signed.

        Raises
        ------
        UnsignedError, UntrustedKeyError
            Nobody has signed it, or a key that does not count.
        SignatureError
            The signature is not the named key's over this seal.
        TrustError
            The ``signing`` extra is not installed.
        """
        known = ", ".join(sorted(self.keys.keys() - self.revoked)) or "none"
        if not seal.is_signed:
            raise UnsignedError(
                f"the bundle is unsigned, expected one signed by a trusted key ({known}); sign it "
                "with edge-pipeline sign"
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
                f"the bundle is signed by key {key_id}, trusted here: {known}; if you know that "
                "key, edge-runtime trust add its public key",
                key_id=key_id,
                revoked=False,
            )
        from edge_runtime.trust.signatures import verify

        verify(seal, self.keys[key_id])


class TrustStore:
    """Folders of trusted keys: a ``.pem`` file for each, and ``revoked.txt`` with key ids.

    Keys and revocations of all folders count together; the first folder is the one written to.

    Parameters
    ----------
    folders
        They need not exist.
    """

    def __init__(self, *folders: str | os.PathLike[str]) -> None:
        if not folders:
            raise ValueError("a trust store needs at least one folder")
        self.folders = tuple(Path(folder) for folder in folders)

    def read(self) -> TrustedKeys:
        """What the folders hold now.

        Raises
        ------
        TrustError
            A file is no public key or no list of key ids, or everybody may write to a folder.
        OSError
            A file cannot be read.
        """
        keys: dict[str, PublicKey] = {}
        revoked: set[str] = set()
        for folder in self.folders:
            for path in _key_files(folder):
                key = PublicKey.from_pem(_small_file(path), source=str(path))
                keys[key.key_id] = key
            revoked |= _revoked(folder)
        return TrustedKeys(keys, frozenset(revoked))

    def places(self) -> Iterator[tuple[Path, PublicKey]]:
        """Every key file and its key."""
        for folder in self.folders:
            for path in _key_files(folder):
                yield path, PublicKey.from_pem(_small_file(path), source=str(path))

    def add(self, pem: bytes, *, source: str = "the key") -> PublicKey:
        """Trust a key from now on.

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
        """Trust a key no more; a bundle that it signed is then one of an unknown key.

        Raises
        ------
        TrustError
            The first folder does not hold it.
        """
        _check_id(key_id)
        own = TrustStore(self.folders[0])
        found = [path for path, key in own.places() if key.key_id == key_id]
        if not found:
            raise TrustError(f"{self.folders[0]} holds no key {key_id}")
        for path in found:
            path.unlink()

    def revoke(self, key_id: str) -> None:
        """Refuse whatever a key has signed or will sign, known here or not."""
        _check_id(key_id)
        self._make_folder()
        listed = sorted(_revoked(self.folders[0]) | {key_id})
        text = "".join(f"{item}\n" for item in listed)
        write_whole(text.encode("ascii"), self.folders[0] / _REVOKED)

    def _make_folder(self) -> None:
        self.folders[0].mkdir(mode=0o755, parents=True, exist_ok=True)


def as_trusted_keys(
    keys: TrustedKeys | TrustStore | Sequence[str | os.PathLike[str] | bytes],
) -> TrustedKeys:
    """The trusted keys that a caller names: PEM files or their bytes, or a store.

    Raises
    ------
    TrustError
        There is none, or one cannot be read.  Whoever checks signatures means to refuse files, so
        no key at all is a mistake; None, not an empty list, is how to say "do not check".
    """
    if isinstance(keys, TrustStore):
        found = keys.read()
    elif isinstance(keys, TrustedKeys):
        found = keys
    elif isinstance(keys, str | bytes | os.PathLike):
        raise TypeError("trusted_keys must be a list of PEM files, or a TrustStore")
    else:
        read = [
            PublicKey.from_pem(key)
            if isinstance(key, bytes)
            else PublicKey.from_pem(_small_file(Path(key)), source=os.fspath(key))
            for key in keys
        ]
        found = TrustedKeys({key.key_id: key for key in read})
    if not found.keys:
        raise TrustError("no trusted keys: every bundle would be refused; name at least one")
    return found


def _key_files(folder: Path) -> list[Path]:
    try:
        status = folder.stat()
    except FileNotFoundError:
        return []
    if status.st_mode & stat.S_IWOTH:
        raise TrustError(f"{folder}: everybody may write to it; chmod o-w {folder}")
    found = sorted(path for path in folder.iterdir() if path.suffix == ".pem")
    if len(found) > MAX_KEYS:
        raise TrustError(f"{folder} has {len(found)} keys, this runtime reads up to {MAX_KEYS}")
    return found


def _revoked(folder: Path) -> frozenset[str]:
    path = folder / _REVOKED
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return frozenset()
    listed = [line.partition("#")[0].strip() for line in text.splitlines()]
    for item in filter(None, listed):
        # A line that is not understood may be the very key that must not count.
        _check_id(item, source=f"{path}: ")
    return frozenset(filter(None, listed))


def _check_id(key_id: str, *, source: str = "") -> None:
    if not _KEY_ID.fullmatch(key_id):
        raise TrustError(f"{source}{key_id!r:.60} is no key id; expected 16 digits 0-9 and a-f")


def _small_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_KEY_FILE_BYTES)
