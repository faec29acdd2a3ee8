"""Read and write Ed25519 public keys as PEM files, without a cryptographic library.

The PEM is what OpenSSL writes for an Ed25519 public key (RFC 8410): a fixed head of 12 bytes and
the 32 bytes of the key, in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

from edge_runtime.errors import TrustError

__all__ = ["MAX_KEY_FILE_BYTES", "PublicKey"]

MAX_KEY_FILE_BYTES = 4096
"""Most bytes read of a key file; an Ed25519 public key takes 113."""

# SubjectPublicKeyInfo of Ed25519 (RFC 8410, section 10.1), up to the 32 bytes of the key.
_HEAD = bytes.fromhex("302a300506032b6570032100")
_KEY_BYTES = 32
# The field of Curve25519, and the y coordinates of the eight points whose order divides 8
# (RFC 8032, section 5.1): anybody can make signatures that such a "key" accepts.
_P = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})
_PEM = re.compile(
    rb"-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]{1,200})-----END PUBLIC KEY-----"
)


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key; ``PublicKey.from_pem(key.to_pem()) == key``."""

    raw: bytes

    @cached_property
    def key_id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the 32 raw bytes."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @classmethod
    def from_pem(cls, pem: bytes, *, source: str = "the key") -> PublicKey:
        """Read a PEM file's bytes; *source* names it in errors.

        Raises
        ------
        TrustError
            It holds something else, a private key say, or a point for which anybody can sign.
        """
        if b"PRIVATE KEY" in pem:
            raise TrustError(
                f"{source} is a private key, which belongs on the build machine alone; hand the "
                "public key beside it"
            )
        match = _PEM.search(pem[:MAX_KEY_FILE_BYTES])
        try:
            der = base64.b64decode(b"".join(match[1].split()), validate=True) if match else b""
        except binascii.Error:
            der = b""
        if len(der) != len(_HEAD) + _KEY_BYTES or not der.startswith(_HEAD):
            raise TrustError(
                f"{source} is no Ed25519 public key in PEM; expected the .pub.pem that "
                "edge-pipeline keygen writes"
            )
        raw = der[len(_HEAD) :]
        y = int.from_bytes(raw, "little") % 2**255  # the highest bit is the sign of x
        if y >= _P or y in _SMALL_ORDER:
            raise TrustError(
                f"{source} is a public key for which anybody can sign; expected one that "
                "edge-pipeline keygen made"
            )
        return cls(raw)

    def to_pem(self) -> bytes:
        """Write the PEM as OpenSSL does."""
        body = base64.b64encode(_HEAD + self.raw)
        return b"-----BEGIN PUBLIC KEY-----\n" + body + b"\n-----END PUBLIC KEY-----\n"
