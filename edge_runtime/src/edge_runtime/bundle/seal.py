"""Read and write the seal: the fixed-length entry at the end of a bundle.

Pure: no I/O.  docs/bundle-format.md lists its fields byte by byte.  The seal says where the graph
and the manifest lie, holds the SHA-256 over both, and may hold a signature.
"""

from __future__ import annotations

from edge_runtime.bundle.format_version import FORMAT_VERSION
from edge_runtime.errors import FormatVersionError, IntegrityError, NotABundleError
from edge_runtime.records import record

__all__ = [
    "COPY_AGAIN",
    "SEAL_ENTRY_BYTES",
    "SEAL_KEY",
    "Seal",
    "metadata_entry_head",
    "read_seal",
    "replace_seal",
    "seal_entry",
    "signed_message",
]

SEAL_KEY = b"edge.seal"

COPY_AGAIN = "copy it again from the build machine"
"""The remedy for a damaged file, in error messages."""

_MAGIC = "EDGESEAL"
_UNSIGNED = "none----"
_NO_KEY = "0" * 16
_NO_SIGNATURE = "0" * 128
_ED25519 = "ed25519-"
# No NUL and no length in it: the seal's text that follows has a fixed length.
_MESSAGE_HEAD = b"edge-runtime bundle signature 1\n"
_HEXADECIMAL = frozenset("0123456789abcdef")
_FIELD_WIDTHS = (8, 4, 16, 16, 16, 64, 8, 16, 128)
_SEAL_BYTES = sum(_FIELD_WIDTHS)
_NOT_A_BUNDLE = (
    "not a sealed bundle: no seal at the end of the file; it is another kind of file or was cut "
    f"short; {COPY_AGAIN}, or make one with edge-pipeline"
)

# ModelProto.metadata_props is field 14, length-delimited: (14 << 3) | 2.  Its entries are
# StringStringEntryProto: key = field 1, value = field 2 (onnx.proto).
_METADATA_TAG = b"\x72"
_KEY_TAG = b"\x0a"
_VALUE_TAG = b"\x12"


@record(frozen=True, slots=True)
class Seal:
    """Where the parts of a bundle lie, the digest over them, and the signature.

    Attributes
    ----------
    format
        Format version of the file.
    graph_bytes, manifest_offset, manifest_bytes
        Length of the graph, and place and length of the manifest's JSON, in bytes.
    sha256
        Digest of every byte before the seal's entry, in lower-case hexadecimal.
    algorithm, key_id, signature
        ``ed25519-``, and the two in lower-case hexadecimal; ``none----`` and zeros when unsigned.
    """

    format: int
    graph_bytes: int
    manifest_offset: int
    manifest_bytes: int
    sha256: str
    algorithm: str = _UNSIGNED
    key_id: str = _NO_KEY
    signature: str = _NO_SIGNATURE

    @property
    def is_signed(self) -> bool:
        """Whether the seal holds a signature; ``edge_runtime.trust`` says whether it is valid."""
        return self.algorithm != _UNSIGNED

    def signed_as(self, key_id: str) -> Seal:
        """Return the seal that the key with that id will sign: all but the signature."""
        return self._signed(key_id, _NO_SIGNATURE)

    def with_signature(self, signature: str) -> Seal:
        """Return the seal with a signature over :func:`signed_message`, in hexadecimal."""
        return self._signed(self.key_id, signature)

    def _signed(self, key_id: str, signature: str) -> Seal:
        parts = (self.format, self.graph_bytes, self.manifest_offset, self.manifest_bytes)
        return Seal(*parts, self.sha256, _ED25519, key_id, signature)

    def to_text(self) -> str:
        """Write ASCII of fixed length; ``Seal.from_text(s.to_text()) == s``."""
        return (
            f"{_MAGIC}{self.format:04x}{self.graph_bytes:016x}{self.manifest_offset:016x}"
            f"{self.manifest_bytes:016x}{self.sha256}{self.algorithm}{self.key_id}{self.signature}"
        )

    @classmethod
    def from_text(cls, text: str) -> Seal:
        """Parse the text that :meth:`to_text` writes; refuse any other spelling."""
        fields, start = [], 0
        for width in _FIELD_WIDTHS:
            fields.append(text[start : start + width])
            start += width
        magic, version, graph, offset, manifest, digest, algorithm, key_id, signature = fields
        if magic != _MAGIC:
            raise NotABundleError(_NOT_A_BUNDLE)
        # int() would also accept signs, blanks and underscores.
        if len(text) != _SEAL_BYTES or not _HEXADECIMAL.issuperset(
            version + graph + offset + manifest + digest
        ):
            raise IntegrityError(f"the seal is damaged; {COPY_AGAIN}")
        format_version = int(version, 16)
        if format_version > FORMAT_VERSION:
            raise FormatVersionError(format_version, FORMAT_VERSION)
        lengths = (int(graph, 16), int(offset, 16), int(manifest, 16))
        seal = cls(format_version, *lengths, digest, algorithm, key_id, signature)
        # Upper-case digits would be a change that no digest covers: refuse a second spelling.
        if seal.to_text() != text or seal.format < 1:
            raise IntegrityError(f"the seal is damaged; {COPY_AGAIN}")
        if algorithm not in (_UNSIGNED, _ED25519):
            raise IntegrityError(
                f"the seal names the signature algorithm {algorithm!r}, this runtime knows "
                f"{_ED25519!r} and {_UNSIGNED!r}; update edge-runtime on the device"
            )
        if algorithm == _UNSIGNED and (key_id, signature) != (_NO_KEY, _NO_SIGNATURE):
            raise IntegrityError(f"the seal has a signature and no algorithm; {COPY_AGAIN}")
        if not _HEXADECIMAL.issuperset(key_id + signature):
            raise IntegrityError(f"the seal's signature is damaged; {COPY_AGAIN}")
        return seal


def read_seal(end: bytes | memoryview) -> Seal:
    """Read the seal from the end of a file: its last :data:`SEAL_ENTRY_BYTES` or more.

    Raises
    ------
    NotABundleError
        There is no seal at the end.
    FormatVersionError
        The bundle has a newer format.
    IntegrityError
        The seal is damaged.
    """
    entry = bytes(end[-SEAL_ENTRY_BYTES:])
    if len(entry) < SEAL_ENTRY_BYTES or not entry.startswith(_SEAL_HEAD):
        raise NotABundleError(_NOT_A_BUNDLE)
    try:
        text = entry[len(_SEAL_HEAD) :].decode("ascii")
    except UnicodeDecodeError as error:
        raise IntegrityError(f"the seal is damaged; {COPY_AGAIN}") from error
    return Seal.from_text(text)


def seal_entry(seal: Seal) -> bytes:
    """Write the seal's whole entry: the last :data:`SEAL_ENTRY_BYTES` of a file."""
    return _SEAL_HEAD + seal.to_text().encode("ascii")


def replace_seal(raw: bytes, seal: Seal) -> bytes:
    """Replace the seal at the end of a file."""
    return raw[:-SEAL_ENTRY_BYTES] + seal_entry(seal)


def signed_message(seal: Seal) -> bytes:
    """Return the bytes that a signature covers: the seal without the signature itself.

    They hold the format, the lengths, the algorithm, the key id and the SHA-256 of every byte
    before the seal.  That digest covers the manifest, and so the model's name and version.  The
    first line separates the message from anything else that the key may sign.
    """
    return _MESSAGE_HEAD + seal.to_text()[: -len(_NO_SIGNATURE)].encode("ascii")


def metadata_entry_head(key: bytes, value_bytes: int) -> bytes:
    """Write the bytes of a metadata_props entry that come before its value."""
    inner = _KEY_TAG + _varint(len(key)) + key + _VALUE_TAG + _varint(value_bytes)
    return _METADATA_TAG + _varint(len(inner) + value_bytes) + inner


def _varint(value: int) -> bytes:
    """Encode base-128, least significant group first (protobuf's encoding guide)."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


_SEAL_HEAD = metadata_entry_head(SEAL_KEY, _SEAL_BYTES)

SEAL_ENTRY_BYTES = len(_SEAL_HEAD) + _SEAL_BYTES
"""Length of the seal's entry, always at the end of the file."""
