"""Read and write the tensors of the Open Inference Protocol V2: JSON, and its binary extension.

https://github.com/kserve/open-inference-protocol and Triton's binary tensor data extension.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.manifest import cell_to_json
from edge_runtime.service.http_messages import HttpError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DATATYPES", "datatype_of", "read_tensor", "tensor_bytes", "tensor_values"]

DATATYPES = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BYTES": "O",
}
"""Datatypes of the protocol, and numpy's; BF16 has none there."""

_KINDS = {"f": (float, int), "i": (int,), "u": (int,), "b": (bool,), "O": (str,)}
_MAX_DIMENSIONS = 16


def datatype_of(array: NDArray[Any]) -> str:
    """Return the protocol's datatype of *array*; texts and other objects are BYTES."""
    if array.dtype.kind in "OUS":
        return "BYTES"
    kind = {"b": "BOOL", "u": "UINT", "i": "INT", "f": "FP"}[array.dtype.kind]
    return kind if kind == "BOOL" else f"{kind}{8 * array.dtype.itemsize}"


def read_tensor(tensor: Mapping[str, Any], raw: bytes | None, missing: str | None) -> NDArray[Any]:
    """Return a request's tensor as an array of its shape; a missing value is NaN or None.

    Parameters
    ----------
    tensor
        The tensor as the request describes it.
    raw
        Its bytes, or None where its values are in the JSON.
    missing
        The text that stands for a missing value in BYTES; None for none.

    Raises
    ------
    HttpError
        Datatype, shape and values do not fit together.
    """
    name = tensor["name"]
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise _fault(name, f"expected one of the datatypes {', '.join(DATATYPES)}")
    shape = _shape(name, tensor.get("shape"))
    if raw is None:
        array = _array_of(name, datatype, _flat(name, tensor.get("data")))
    elif datatype == "BYTES":
        array = _as_objects(_texts(name, raw))
    else:
        dtype = np.dtype(DATATYPES[datatype])
        if len(raw) % dtype.itemsize:
            raise _fault(name, f"expected whole values of {dtype.itemsize} bytes")
        array = np.frombuffer(raw, np.uint8 if datatype == "BOOL" else dtype)
        if datatype == "BOOL":  # a byte other than 0 and 1 is no bool
            if array.size and array.max() > 1:
                raise _fault(name, "expected bytes of 0 or 1 for BOOL")
            array = array.astype(np.bool_)
    if prod(shape) != array.size:
        raise _fault(name, f"the shape {list(shape)} does not fit {array.size:,} values")
    if datatype == "BYTES" and missing is not None:
        array = _as_objects([None if text == missing else text for text in array])
    return array.reshape(shape)


def tensor_values(array: NDArray[Any]) -> list[Any]:
    """Return the values of *array* in row-major order, ready for JSON."""
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind == "f":
        is_finite = bool(np.isfinite(array).all())
        return values if is_finite else [cell_to_json(value) for value in values]
    return list(map(str, values)) if datatype_of(array) == "BYTES" else values


def tensor_bytes(array: NDArray[Any]) -> bytes:
    """Return the values of *array* in row-major order, as the binary extension has them."""
    datatype = datatype_of(array)
    if datatype != "BYTES":
        return array.astype(DATATYPES[datatype], order="C").tobytes()
    texts = [str(value).encode() for value in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= _MAX_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**48 for size in shape)
    ):
        raise _fault(name, f"expected a shape of 1 to {_MAX_DIMENSIONS} whole numbers from 0 up")
    return tuple(shape)


def _flat(name: str, nested: Any) -> list[Any]:
    """Return nested lists as one list, level by level."""
    if not isinstance(nested, list):
        raise _fault(name, "expected data, a list, or binary_data_size")
    values: list[Any] = nested
    while any(isinstance(value, list) for value in values):
        if not all(isinstance(value, list) for value in values):
            raise _fault(name, "expected lists of one depth as data")
        values = [item for value in values for item in value]
    return values


def _array_of(name: str, datatype: str, values: list[Any]) -> NDArray[Any]:
    dtype = np.dtype(DATATYPES[datatype])
    allowed = _KINDS[dtype.kind]
    for value in values:
        is_allowed = isinstance(value, allowed) and (type(value) is not bool or bool in allowed)
        if value is not None and not is_allowed:
            raise _fault(name, f"expected values of {datatype} or null, found {value!r:.40}")
    has_gap = None in values
    if has_gap and dtype.kind == "f":
        values = [np.nan if value is None else value for value in values]
    if dtype.kind in "iu":  # numpy before 2 wraps what does not fit
        limits = np.iinfo(dtype)
        if not all(value is None or limits.min <= value <= limits.max for value in values):
            raise _fault(name, f"a value lies outside {datatype}")
    try:
        return _as_objects(values) if has_gap and dtype.kind != "f" else np.array(values, dtype)
    except OverflowError as error:  # a whole number beyond the largest float
        raise _fault(name, f"a value lies outside {datatype}") from error


def _as_objects(values: list[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _texts(name: str, raw: bytes) -> list[str]:
    """Read texts, each behind its length in four bytes."""
    texts, start = [], 0
    while start < len(raw):
        end = start + 4
        if end <= len(raw):
            end += int.from_bytes(raw[start:end], "little")
        if end > len(raw) or end < start + 4:
            raise _fault(name, "the bytes end within a text")
        try:
            texts.append(raw[start + 4 : end].decode())
        except UnicodeDecodeError as error:
            raise _fault(name, "a text is no UTF-8") from error
        start = end
    return texts


def _fault(name: str, message: str) -> HttpError:
    return HttpError(400, f"input {name!r:.80}: {message}")
