"""Make and read private keys, and sign sealed files with them.

A key file is PEM (PKCS #8), with a password by default.  The public key lies beside it as
``NAME.pub.pem``, for the devices.  ``edge_runtime.trust.signatures`` computes the signature of the
message that the device checks.  Needs the extra ``signing``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.atomic_file import write_whole
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.trust.public_key import PublicKey

import edge_runtime
from edge_pipeline.errors import SigningError
from edge_pipeline.short_repr import short_repr

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "SignResult",
    "SigningKey",
    "add_signature",
    "as_signing_key",
    "is_protected",
    "make_signing_key",
    "public_path",
    "sign",
]

MAX_KEY_FILE_BYTES = 65536
"""Most bytes read of a private key's file; ours have 300."""


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 private key, in memory and without its password."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """Return the public key, which devices trust."""
        from edge_runtime.trust.signatures import public_key

        return public_key(self.private)

    @property
    def key_id(self) -> str:
        """Return the first 16 hexadecimal digits of the SHA-256 of the raw public key."""
        return self.public.key_id

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, password: str | None = None) -> SigningKey:
        """Read the key in a PEM file.

        Raises
        ------
        SigningError
            The file holds something else, or the password is wrong or missing.
        OSError
            The file cannot be read.
        """
        with open(path, "rb") as file:
            pem = file.read(MAX_KEY_FILE_BYTES)
        _cryptography()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if is_protected(path) and password is None:
            raise SigningError(
                f"{os.fspath(path)} is protected by a password; pass it "
                "(SigningKey.read(path, password=...))"
            )
        try:
            key = load_pem_private_key(pem, password.encode() if password else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            reason = (
                "the password is wrong, or the file is damaged"
                if b"ENCRYPTED" in pem
                else "it is not a private key in PEM, or it needs no password"
            )
            raise SigningError(f"{os.fspath(path)} cannot be read: {reason}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningError(
                f"{os.fspath(path)} holds a key of another type, expected Ed25519; make one with "
                "edge-pipeline keygen"
            )
        return cls(key)


@short_repr
@dataclass(frozen=True)
class SignResult:
    """Result of :func:`sign`: the signed file and the key."""

    path: Path
    key_id: str
    manifest: Manifest


def make_signing_key(path: str | os.PathLike[str], *, password: str | None) -> SigningKey:
    """Make a key and write it to *path*, with its public key beside it.

    Parameters
    ----------
    path
        File for the private key, readable by its owner alone.
    password
        Protects the file; None leaves it open to whoever can read it.

    Raises
    ------
    SigningError
        A key file exists already; it is never overwritten.
    OSError
        A file cannot be written.
    """
    _cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = Path(path)
    if password == "":
        raise SigningError(
            "the password is empty; choose another one, or pass None for no password"
        )
    protection: Any = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password.encode())
    )
    key = SigningKey(Ed25519PrivateKey.generate())
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )
    for key_file in (path, public_path(path)):
        if key_file.exists():
            raise SigningError(f"{key_file} exists, and a key is never overwritten; name another")
    # Exclusive: a file that another process has made in the meantime stays.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        write_whole(key.public.to_pem(), public_path(path))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return key


def public_path(path: Path) -> Path:
    """Return the path of the public key beside a private key: ``NAME.pub.pem``."""
    return path.with_name(f"{path.name.removesuffix('.pem')}.pub.pem")


def is_protected(path: str | os.PathLike[str]) -> bool:
    """Return whether a key file is protected by a password."""
    with open(path, "rb") as file:
        return b"ENCRYPTED" in file.read(MAX_KEY_FILE_BYTES)


def sign(path: str | os.PathLike[str], key: SigningKey | str | os.PathLike[str]) -> SignResult:
    """Sign a sealed file in place, after loading it as a device would.

    An older signature is replaced.

    Parameters
    ----------
    path
        The file; replaced in one step, or left as it was.
    key
        A key, or the file of one without a password.

    Raises
    ------
    BundleError, SelfTestError
        A device would not load the file.
    SigningError
        The key cannot be read.
    OSError
        A file cannot be read or written.
    """
    path = Path(path)
    key = as_signing_key(key)
    raw = path.read_bytes()
    with edge_runtime.load(raw) as model:
        manifest = model.manifest
    write_whole(add_signature(raw, key), path)
    return SignResult(path, key.key_id, manifest)


def as_signing_key(key: SigningKey | str | os.PathLike[str]) -> SigningKey:
    """Return *key* itself, or read it from its file."""
    return key if isinstance(key, SigningKey) else SigningKey.read(key)


def add_signature(raw: bytes, key: SigningKey) -> bytes:
    """Sign the bundle's bytes, and check them as a device that trusts the key would."""
    from edge_runtime.bundle.layout import unpack
    from edge_runtime.trust.keys import TrustedKeys
    from edge_runtime.trust.signatures import sign as with_signature

    signed_bytes = with_signature(raw, key.private)
    try:
        unpack(signed_bytes, verify=TrustedKeys({key.key_id: key.public}).check)
    except EdgeRuntimeError as error:
        raise SigningError(f"the signed bundle does not read back: {error}") from error
    return signed_bytes


def _cryptography() -> None:
    try:
        import cryptography  # noqa: F401 (imported to say what to install)
    except ImportError as error:
        raise SigningError(
            "signing needs the package cryptography; pip install 'edge-pipeline[signing]'"
        ) from error
