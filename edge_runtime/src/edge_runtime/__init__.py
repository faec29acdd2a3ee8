"""Run sealed scikit-learn models on small devices, exactly as they were trained.

::

    import edge_runtime

    model = edge_runtime.load("penguins.onnx")      # seal, versions and golden rows are checked
    model.schema                                    # the columns that a row needs
    model.predict_one({"bill_length_mm": 39.1})     # one row: a dict, a list or an array
    model.predict_proba_one({"bill_length_mm": 39.1})
    model.predict(table)                            # many rows: an array, a frame, dicts

``help(edge_runtime.Model)`` lists all methods; in a shell: ``edge-runtime --help``.  Every error is
an :class:`EdgeRuntimeError` that says what was expected, what was found, and what to do.
"""

# Import numpy first, with few frames on the stack.  With more, the frames of numpy's own import
# cross the end of one of the interpreter's 16 KB blocks of frames again and again.  CPython 3.11
# then maps and frees a block at every call, 700 times: 6 ms of processor time (measured).
try:
    import numpy as _numpy  # noqa: F401
except Exception as _error:  # a damaged file may raise anything
    from edge_runtime_startup import explain_import_error as _explain

    raise ImportError(f"numpy cannot be imported: {_explain(_error)}") from _error

from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Column, InputLimits, Schema
from edge_runtime.errors import (
    BundleError,
    EdgeRuntimeError,
    EngineWarning,
    FormatVersionError,
    InferenceError,
    InputError,
    IntegrityError,
    IsolationError,
    MethodNotAvailableError,
    ModelClosedError,
    NotABundleError,
    NotEnoughMemoryError,
    OutsideTrainingWarning,
    SelfTestError,
    ServiceError,
    SignatureError,
    TrustError,
    UnsafeGraphError,
    UnsignedError,
    UnsupportedRuntimeError,
    UntrustedKeyError,
)
from edge_runtime.loading import load
from edge_runtime.model import Model

if TYPE_CHECKING:
    from edge_runtime.inputs.flags import Flag
    from edge_runtime.isolation import IsolationLimits
    from edge_runtime.stream import Answer, Stream, StreamFlag
    from edge_runtime.trust.keys import TrustStore

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "BundleError",
    "Column",
    "EdgeRuntimeError",
    "EngineWarning",
    "Flag",
    "FormatVersionError",
    "InferenceError",
    "InputError",
    "InputLimits",
    "IntegrityError",
    "IsolationError",
    "IsolationLimits",
    "Manifest",
    "MethodNotAvailableError",
    "Model",
    "ModelClosedError",
    "NotABundleError",
    "NotEnoughMemoryError",
    "OutsideTrainingWarning",
    "Schema",
    "SelfTestError",
    "ServiceError",
    "SignatureError",
    "Stream",
    "StreamFlag",
    "TrustError",
    "TrustStore",
    "UnsafeGraphError",
    "UnsignedError",
    "UnsupportedRuntimeError",
    "UntrustedKeyError",
    "__version__",
    "load",
]

# Imported on first use: they load pathlib, tempfile and OpenSSL, 6 ms of a start.
_LAZY_EXPORTS = {
    "Answer": "edge_runtime.stream",
    "Flag": "edge_runtime.inputs.flags",
    "IsolationLimits": "edge_runtime.isolation",
    "Stream": "edge_runtime.stream",
    "StreamFlag": "edge_runtime.stream",
    "TrustStore": "edge_runtime.trust.keys",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY_EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY_EXPORTS[name]), name)
