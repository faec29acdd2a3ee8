"""Every error this distribution raises on purpose.

::

    EdgeRuntimeError
    ├── BundleError            the file cannot be trusted or read
    │   ├── NotABundleError    it carries no seal: some other file
    │   ├── IntegrityError     its bytes are not the bytes that were sealed
    │   ├── FormatVersionError it was written for a newer runtime
    │   ├── SignatureError     no key that this device trusts has signed these bytes
    │   │   ├── UnsignedError  nobody has signed it
    │   │   └── UntrustedKeyError  a key has that is unknown here, or revoked
    │   ├── UnsafeGraphError   its graph holds what no bundle may hold
    │   ├── IsolationError     it crashed, hung or bloated the process that tried it first
    │   ├── NotEnoughMemoryError  this process cannot get the memory that it needs
    │   └── UnsupportedRuntimeError  this onnxruntime must not, or cannot, run it
    ├── TrustError             the keys that this device trusts cannot be read or used
    ├── SelfTestError          the golden rows answer differently on this machine
    ├── InputError             a row the model must not answer
    ├── InferenceError         onnxruntime failed on rows that passed every check
    ├── MethodNotAvailableError  the trained estimator had no such method
    └── ModelClosedError       the model was used after close()

``OSError`` passes through unchanged: a missing file stays FileNotFoundError.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "EdgeRuntimeError",
    "FormatVersionError",
    "InferenceError",
    "InputError",
    "IntegrityError",
    "IsolationError",
    "MethodNotAvailableError",
    "ModelClosedError",
    "NotABundleError",
    "NotEnoughMemoryError",
    "SelfTestError",
    "SignatureError",
    "TrustError",
    "UnsafeGraphError",
    "UnsignedError",
    "UnsupportedRuntimeError",
    "UntrustedKeyError",
]


class EdgeRuntimeError(Exception):
    """Root of every error that edge_runtime raises on purpose."""


class BundleError(EdgeRuntimeError):
    """The bundle cannot be trusted or read; the message says what to do."""


class NotABundleError(BundleError):
    """The bytes end in no seal: not a bundle, or cut short."""


class IntegrityError(BundleError):
    """The bytes differ from those that were sealed, or contradict themselves."""


class FormatVersionError(BundleError):
    """The bundle was written in a format newer than this runtime reads.

    Attributes
    ----------
    found, supported
        The bundle's format version, and the highest one read here.
    """

    def __init__(self, found: int, supported: int) -> None:
        super().__init__(
            f"bundle has format {found}, this runtime reads up to {supported}; "
            "update edge-runtime on the device"
        )
        self.found = found
        self.supported = supported


class SignatureError(BundleError):
    """The signature does not fit the bytes, or there is none that counts on this device."""


class UnsignedError(SignatureError):
    """Nobody has signed the bundle, and this device runs signed ones only."""


class UntrustedKeyError(SignatureError):
    """The bundle names a key that this device does not trust, or no longer.

    Attributes
    ----------
    key_id
        Of the key that the bundle names.
    revoked
        Whether the device knows the key as revoked.
    """

    def __init__(self, message: str, *, key_id: str, revoked: bool) -> None:
        super().__init__(message)
        self.key_id = key_id
        self.revoked = revoked


class UnsafeGraphError(BundleError):
    """The graph holds what no bundle may hold; onnxruntime has not seen it."""


class IsolationError(BundleError):
    """The process that tried the bundle first crashed, hung, or took more than it may."""


class UnsupportedRuntimeError(BundleError):
    """The installed onnxruntime must not, or cannot, run the bundle."""


class NotEnoughMemoryError(BundleError, MemoryError):
    """The bundle cannot be loaded: this process gets no more memory."""


class TrustError(EdgeRuntimeError):
    """The keys that this device trusts cannot be read, or their signatures not be checked."""


class SelfTestError(EdgeRuntimeError):
    """A golden row answers differently here than it did when it was sealed."""


class InputError(EdgeRuntimeError, ValueError):
    """A row, or the whole table, that the model must not answer.

    Attributes
    ----------
    row
        Zero-based position of the first bad row, or None when all rows share the fault.
    column
        Name of the column at fault, or None when it is not about one column.
    """

    def __init__(self, message: str, *, row: int | None = None, column: str | None = None) -> None:
        where = [f"row {row}"] if row is not None else []
        if column is not None:
            where.append(f"column {column!r}")
        super().__init__(f"{', '.join(where)}: {message}" if where else message)
        self.row = row
        self.column = column


class InferenceError(EdgeRuntimeError):
    """onnxruntime failed, or answered in another shape, on rows that passed every check."""


class MethodNotAvailableError(EdgeRuntimeError, AttributeError):
    """The trained estimator had no such method, so the model has none."""


class ModelClosedError(EdgeRuntimeError):
    """The model was used after it was closed."""
