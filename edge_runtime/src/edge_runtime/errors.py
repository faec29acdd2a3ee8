"""Define every error that edge_runtime raises on purpose.

::

    EdgeRuntimeError
    ├── BundleError              the file cannot be trusted or read
    │   ├── NotABundleError      another kind of file: it has no seal
    │   ├── IntegrityError       the bytes differ from the sealed bytes
    │   ├── FormatVersionError   the file needs a newer runtime
    │   ├── SignatureError       no key that this device trusts has signed the bytes
    │   │   ├── UnsignedError    the file has no signature
    │   │   └── UntrustedKeyError  the signing key is unknown here, or revoked
    │   ├── UnsafeGraphError     the graph contains something that no bundle may contain
    │   ├── IsolationError       the isolated test process crashed, hung or exceeded its limits
    │   ├── NotEnoughMemoryError   this process cannot get the memory that the file needs
    │   └── UnsupportedRuntimeError  the installed onnxruntime must not, or cannot, run it
    ├── TrustError               the device's trusted keys cannot be read or used
    ├── SelfTestError            the golden rows give other results on this machine
    ├── InputError               the model cannot predict for a row or a table
    ├── InferenceError           onnxruntime failed on rows that passed every check
    ├── MethodNotAvailableError  the trained estimator had no such method
    ├── ModelClosedError         the model was used after close()
    └── ServiceError             a service cannot start as its options say

    EngineWarning                a warning: numpy predicts, because onnxruntime is broken or denied
    OutsideTrainingWarning       a warning: predicted rows lie outside the training data

``OSError`` passes through unchanged: a missing file raises FileNotFoundError.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "EdgeRuntimeError",
    "EngineWarning",
    "FormatVersionError",
    "InferenceError",
    "InputError",
    "IntegrityError",
    "IsolationError",
    "MethodNotAvailableError",
    "ModelClosedError",
    "NotABundleError",
    "NotEnoughMemoryError",
    "OutsideTrainingWarning",
    "SelfTestError",
    "ServiceError",
    "SignatureError",
    "TrustError",
    "UnsafeGraphError",
    "UnsignedError",
    "UnsupportedRuntimeError",
    "UntrustedKeyError",
]


class EdgeRuntimeError(Exception):
    """Base class of every error that edge_runtime raises on purpose."""


class BundleError(EdgeRuntimeError):
    """The bundle cannot be trusted or read; the message names the remedy."""


class NotABundleError(BundleError):
    """The bytes do not end in a seal: another kind of file, or a file that was cut short."""


class IntegrityError(BundleError):
    """The bytes differ from the sealed bytes, or contradict each other."""


class FormatVersionError(BundleError):
    """The bundle has a newer format than this runtime reads.

    Attributes
    ----------
    format_version, supported
        Format version of the bundle, and the highest version that this runtime reads.
    """

    def __init__(self, format_version: int, supported: int) -> None:
        super().__init__(
            f"bundle has format {format_version}, this runtime reads up to {supported}; "
            "update edge-runtime on the device"
        )
        self.format_version = format_version
        self.supported = supported


class SignatureError(BundleError):
    """The signature does not match the bytes, or this device does not accept it."""


class UnsignedError(SignatureError):
    """The bundle has no signature, and this device runs signed bundles only."""


class UntrustedKeyError(SignatureError):
    """The device does not trust the key that signed the bundle, or no longer.

    Attributes
    ----------
    key_id
        Id of the key that the bundle names.
    revoked
        Whether the key is revoked on this device.
    """

    def __init__(self, message: str, *, key_id: str, revoked: bool) -> None:
        super().__init__(message)
        self.key_id = key_id
        self.revoked = revoked


class UnsafeGraphError(BundleError):
    """The graph contains something that no bundle may contain; onnxruntime has not read it."""


class IsolationError(BundleError):
    """The isolated process that first ran the bundle crashed, hung or exceeded its limits."""


class UnsupportedRuntimeError(BundleError):
    """The installed onnxruntime must not, or cannot, run the bundle."""


class NotEnoughMemoryError(BundleError, MemoryError):
    """The bundle cannot be loaded: this process cannot get enough memory."""


class TrustError(EdgeRuntimeError):
    """The trusted keys of this device cannot be read, or cannot check a signature."""


class SelfTestError(EdgeRuntimeError):
    """The model predicts another value for a golden row than it did at the build."""


class InputError(EdgeRuntimeError, ValueError):
    """The model cannot predict for a row, or for the whole table.

    Attributes
    ----------
    row
        Zero-based position of the first invalid row, or None when all rows share the fault.
    column
        Name of the faulty column, or None when the fault is not in one column.
    """

    def __init__(self, message: str, *, row: int | None = None, column: str | None = None) -> None:
        where = [f"row {row}"] if row is not None else []
        if column is not None:
            where.append(f"column {column!r}")
        super().__init__(f"{', '.join(where)}: {message}" if where else message)
        self.row = row
        self.column = column


class InferenceError(EdgeRuntimeError):
    """onnxruntime failed, or returned another shape, for rows that passed every check."""


class MethodNotAvailableError(EdgeRuntimeError, AttributeError):
    """The trained estimator had no such method, so the model has none."""


class ModelClosedError(EdgeRuntimeError):
    """The model was used after it was closed."""


class ServiceError(EdgeRuntimeError):
    """A service cannot start as its options say, or would let strangers in."""


class EngineWarning(UserWarning):
    """onnxruntime is installed and cannot be used, so numpy predicts (``load(engine="auto")``)."""


class OutsideTrainingWarning(UserWarning):
    """Predicted rows lie outside the training data (``load(..., outside="warn")``)."""
