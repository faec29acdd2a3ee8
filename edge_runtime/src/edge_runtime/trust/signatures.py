"""Sign seals and check their signatures; no other module imports cryptography.

Ed25519 (RFC 8032) over :func:`edge_runtime.bundle.seal.signed_message`.  Needs the extra
``signing``; everything else in this package works without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.bundle.seal import Seal, read_seal, replace_seal, signed_message
from edge_runtime.errors import SignatureError, TrustError
from edge_runtime.trust.public_key import PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["public_key", "sign", "verify"]


def sign(raw: bytes, private_key: Ed25519PrivateKey) -> bytes:
    """Sign a bundle: give its bytes with a signature in the seal, in place of any earlier one.

    The same bytes and key give the same signature (RFC 8032, section 5.1.6).

    Raises
    ------
    BundleError
        *raw* is no bundle, or is damaged.
    """
    seal = read_seal(raw).signed_as(public_key(private_key).key_id)
    return replace_seal(raw, seal.with_signature(private_key.sign(signed_message(seal)).hex()))


def verify(seal: Seal, key: PublicKey) -> None:
    """Refuse a seal that *key* has not signed.

    Raises
    ------
    SignatureError
        The signature belongs to another key, or to other bytes.
    TrustError
        The extra ``signing`` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise TrustError(
            "signatures cannot be checked without the package cryptography; "
            "pip install 'edge-runtime[signing]'"
        ) from error
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(
            bytes.fromhex(seal.signature), signed_message(seal)
        )
    except InvalidSignature as error:
        raise SignatureError(
            f"the signature is not that of key {key.key_id} over this file: it was changed after "
            "it was signed, or somebody forged it; copy it again from the build machine"
        ) from error


def public_key(private_key: Ed25519PrivateKey) -> PublicKey:
    """Compute the public key of a private key."""
    return PublicKey(private_key.public_key().public_bytes_raw())
