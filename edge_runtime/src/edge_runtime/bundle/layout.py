"""The file format: graph bytes, manifest and seal in one plain ONNX file.

Pure: bytes in, checked parts out, no I/O.  docs/bundle-format.md tells the layout byte by byte::

    graph (a ModelProto) | metadata_props "edge.manifest" | metadata_props "edge.seal"

Protobuf lets fields be appended, so the whole is again a ModelProto.  The seal has a fixed
length and comes last: it is found from the end without a protobuf parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.bundle.digest import sha256
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.errors import FormatVersionError, IntegrityError, NotABundleError
from edge_runtime.records import record

if TYPE_CHECKING:
    from edge_runtime.trust.keys import TrustedKeys

__all__ = [
    "FORMAT",
    "MANIFEST_KEY",
    "SEAL_ENTRY_BYTES",
    "SEAL_KEY",
    "Bundle",
    "Seal",
    "check_parts",
    "pack",
    "read_seal",
    "replace_seal",
    "signed_message",
    "unpack",
]

FORMAT = 1
"""Highest format version written and read here."""

MANIFEST_KEY = b"edge.manifest"
SEAL_KEY = b"edge.seal"

_MAGIC = "EDGESEAL"
_UNSIGNED = "none----"
_NO_KEY = "0" * 16
_NO_SIGNATURE = "0" * 128
_ED25519 = "ed25519-"
# No NUL and no length in it: the seal's text that follows has a fixed length.
_MESSAGE_HEAD = b"edge-runtime bundle signature 1\n"
_HEXADECIMAL = frozenset("0123456789abcdef")
_WIDTHS = (8, 4, 16, 16, 16, 64, 8, 16, 128)
_SEAL_BYTES = sum(_WIDTHS)

# ModelProto.metadata_props is field 14, length-delimited: (14 << 3) | 2.  Its entries are
# StringStringEntryProto: key = field 1, value = field 2 (onnx.proto).
_METADATA_TAG = b"\x72"
_KEY_TAG = b"\x0a"
_VALUE_TAG = b"\x12"


@record(frozen=True, slots=True)
class Seal:
    """The last entry of the file: where the parts lie, and the digest over them.

    Attributes
    ----------
    format
        Format version of the file.
    graph_bytes, manifest_offset, manifest_bytes
        Length of the graph, and place and length of the manifest's JSON, in bytes.
    sha256
        Of everything before the seal's entry, in lower-case hexadecimal.
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
        """Whether there is a signature; whether it counts, :class:`TrustedKeys` says."""
        return self.algorithm != _UNSIGNED

    def signed_as(self, key_id: str) -> Seal:
        """The seal as the key of that id is going to sign it: all but the signature."""
        return self._signed(key_id, _NO_SIGNATURE)

    def with_signature(self, signature: str) -> Seal:
        """With a signature over :func:`signed_message`, in hexadecimal."""
        return self._signed(self.key_id, signature)

    def _signed(self, key_id: str, signature: str) -> Seal:
        parts = (self.format, self.graph_bytes, self.manifest_offset, self.manifest_bytes)
        return Seal(*parts, self.sha256, _ED25519, key_id, signature)

    def to_text(self) -> str:
        """ASCII of fixed length; ``Seal.from_text(s.to_text()) == s``."""
        return (
            f"{_MAGIC}{self.format:04x}{self.graph_bytes:016x}{self.manifest_offset:016x}"
            f"{self.manifest_bytes:016x}{self.sha256}{self.algorithm}{self.key_id}{self.signature}"
        )

    @classmethod
    def from_text(cls, text: str) -> Seal:
        """Read what :meth:`to_text` wrote, and nothing that it would have written otherwise."""
        fields, start = [], 0
        for width in _WIDTHS:
            fields.append(text[start : start + width])
            start += width
        magic, version, graph, offset, manifest, digest, algorithm, key_id, signature = fields
        if magic != _MAGIC:
            raise NotABundleError(_NOT_A_BUNDLE)
        # int() would read signs, blanks and underscores too.
        if len(text) != _SEAL_BYTES or not _HEXADECIMAL.issuperset(
            version + graph + offset + manifest + digest
        ):
            raise IntegrityError(f"the seal is damaged; {_COPY_AGAIN}")
        found = int(version, 16)
        if found > FORMAT:
            raise FormatVersionError(found, FORMAT)
        lengths = (int(graph, 16), int(offset, 16), int(manifest, 16))
        seal = cls(found, *lengths, digest, algorithm, key_id, signature)
        # One spelling only: otherwise upper-case digits would be unsealed changes.
        if seal.to_text() != text or seal.format < 1:
            raise IntegrityError(f"the seal is damaged; {_COPY_AGAIN}")
        if algorithm not in (_UNSIGNED, _ED25519):
            raise IntegrityError(
                f"the seal names the signature algorithm {algorithm!r}, this runtime knows "
                f"{_ED25519!r} and {_UNSIGNED!r}; update edge-runtime on the device"
            )
        if algorithm == _UNSIGNED and (key_id, signature) != (_NO_KEY, _NO_SIGNATURE):
            raise IntegrityError(f"the seal has a signature and no algorithm; {_COPY_AGAIN}")
        if not _HEXADECIMAL.issuperset(key_id + signature):
            raise IntegrityError(f"the seal's signature is damaged; {_COPY_AGAIN}")
        return seal


@record(frozen=True, slots=True)
class Bundle:
    """A file whose seal, digest and manifest have been checked.

    Attributes
    ----------
    graph
        The bare ModelProto: the only bytes that reach onnxruntime.
    manifest, seal
        As sealed.
    """

    graph: memoryview
    manifest: Manifest
    seal: Seal


def pack(graph: bytes, manifest: Manifest) -> bytes:
    """The bytes of a sealed, unsigned bundle; ``unpack(pack(g, m))`` gives both back."""
    text = manifest.to_bytes()
    sealed = b"".join((graph, _entry_head(MANIFEST_KEY, len(text)), text))
    seal = Seal(
        format=FORMAT,
        graph_bytes=len(graph),
        manifest_offset=len(sealed) - len(text),
        manifest_bytes=len(text),
        sha256=sha256(sealed),
    )
    return sealed + _SEAL_HEAD + seal.to_text().encode("ascii")


def unpack(raw: bytes | memoryview, *, trusted: TrustedKeys | None = None) -> Bundle:
    """Check a file's bytes and take it apart, without copying the graph.

    Parameters
    ----------
    trusted
        Keys of which one must have signed the file.  None: signatures are not looked at.

    Raises
    ------
    SignatureError
        None of the trusted keys has signed it.
    NotABundleError
        No seal at the end.
    FormatVersionError
        Written in a newer format.
    IntegrityError
        The digest, the geometry or the manifest is wrong.
    """
    view = memoryview(raw)
    seal = read_seal(view)
    graph, rest = view[: seal.graph_bytes], view[seal.graph_bytes :]
    return Bundle(graph, check_parts(seal, graph, rest, trusted=trusted), seal)


def read_seal(end: bytes | memoryview) -> Seal:
    """The seal of a file of which *end* is the last :data:`SEAL_ENTRY_BYTES` or more.

    Raises
    ------
    NotABundleError, FormatVersionError, IntegrityError
        As :func:`unpack`.
    """
    entry = bytes(end[-SEAL_ENTRY_BYTES:])
    if len(entry) < SEAL_ENTRY_BYTES or not entry.startswith(_SEAL_HEAD):
        raise NotABundleError(_NOT_A_BUNDLE)
    try:
        text = entry[len(_SEAL_HEAD) :].decode("ascii")
    except UnicodeDecodeError as error:
        raise IntegrityError(f"the seal is damaged; {_COPY_AGAIN}") from error
    return Seal.from_text(text)


def signed_message(seal: Seal) -> bytes:
    """What a signature covers: all of the seal but the signature itself.

    That is the format, the geometry, the SHA-256 of every byte before the seal (and with it the
    model's name and version, which the manifest states), the algorithm and the key.  The first
    line keeps it apart from whatever else the key may sign.
    """
    return _MESSAGE_HEAD + seal.to_text()[: -len(_NO_SIGNATURE)].encode("ascii")


def replace_seal(raw: bytes, seal: Seal) -> bytes:
    """The file with another seal, in place of the one at its end."""
    return raw[:-SEAL_ENTRY_BYTES] + _SEAL_HEAD + seal.to_text().encode("ascii")


def check_parts(
    seal: Seal,
    graph: bytes | memoryview,
    rest: bytes | memoryview,
    *,
    trusted: TrustedKeys | None = None,
) -> Manifest:
    """Check the two parts of a file against its seal, and read the manifest.

    Parameters
    ----------
    seal
        As read from the end of the file.
    graph, rest
        The first ``seal.graph_bytes`` of the file, and all that follows.
    trusted
        As :func:`unpack`.

    Raises
    ------
    IntegrityError, SignatureError
        As :func:`unpack`.
    """
    head = _entry_head(MANIFEST_KEY, seal.manifest_bytes)
    text_end = len(head) + seal.manifest_bytes
    if (
        len(graph) != seal.graph_bytes
        or seal.graph_bytes + len(head) != seal.manifest_offset
        or text_end + SEAL_ENTRY_BYTES != len(rest)
        or rest[: len(head)] != head
        or bytes(rest[text_end + len(_SEAL_HEAD) :]) != seal.to_text().encode("ascii")
    ):
        raise IntegrityError(f"the parts do not lie where the seal says; {_COPY_AGAIN}")
    digest = sha256(graph, rest[:text_end])
    if digest != seal.sha256:
        raise IntegrityError(
            f"SHA-256 is {digest[:16]}…, the seal says {seal.sha256[:16]}…: "
            f"the file was changed after it was sealed; {_COPY_AGAIN}"
        )
    # Before the manifest: nothing that a stranger wrote is parsed on a device that trusts somebody.
    if trusted is not None:
        trusted.check(seal)
    return Manifest.from_bytes(bytes(rest[len(head) : text_end]))


_COPY_AGAIN = "copy it again from the build machine"
_NOT_A_BUNDLE = (
    "not a sealed bundle: no seal at the end of the file; it is another kind of file or was cut "
    f"short; {_COPY_AGAIN}, or make one with edge-pipeline"
)


def _entry_head(key: bytes, value_bytes: int) -> bytes:
    """Every byte of a metadata_props entry that comes before its value."""
    inner = _KEY_TAG + _varint(len(key)) + key + _VALUE_TAG + _varint(value_bytes)
    return _METADATA_TAG + _varint(len(inner) + value_bytes) + inner


def _varint(value: int) -> bytes:
    """Base-128, least significant group first (protobuf's encoding guide)."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


_SEAL_HEAD = _entry_head(SEAL_KEY, _SEAL_BYTES)

SEAL_ENTRY_BYTES = len(_SEAL_HEAD) + _SEAL_BYTES
"""Length of the seal's entry, always at the end of the file."""
