"""Describe a tensor that is one row of a model's input, and write golden tensors in a few bytes.

Pure: no I/O.  Few models need this module, so only those import it.
"""

from __future__ import annotations

import math
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import IntegrityError
from edge_runtime.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.bundle.schema import Column

__all__ = [
    "PATTERNS",
    "TENSOR_DTYPES",
    "StreamSettings",
    "TensorType",
    "golden_tensor_to_json",
    "golden_tensors",
    "pattern",
]

TENSOR_DTYPES = ("uint8", "int16", "float32", "float64")
"""Dtypes of a tensor: pictures, sound, and measurements."""

MAX_TENSOR_CELLS = 1 << 24
"""Most numbers in one tensor: 128 MB as float64, a quarter of what the smallest board has."""

MAX_GOLDEN_CELLS = 1 << 25
"""Most numbers in all golden tensors, so that a hostile manifest cannot fill the memory."""

MAX_DIMENSIONS = 8

PATTERNS = 3
"""Patterns that :func:`pattern` makes: of fine, middle and coarse grain."""

MAX_GOLDEN_BYTES = 600
"""Largest golden tensor that is written as it is; a pattern stands for a larger one."""


@record(frozen=True, slots=True)
class StreamSettings:
    """How samples become windows, sealed so that a device cannot choose otherwise.

    Attributes
    ----------
    rate
        Samples a second.
    hop
        Samples from the start of one window to the start of the next.
    channels
        Names of the channels, in order; one for a window without an axis of channels.
    time_axis
        Axis of the window that is time, 0 or 1.
    full_scale
        The number that the largest sample of PCM stands for: 32768 where training had its
        integers, 1.0 where it had floats as soundfile and librosa read them.
    """

    rate: float
    hop: int
    channels: tuple[str, ...]
    time_axis: int
    full_scale: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``StreamSettings.from_json(s.to_json()) == s``."""
        return {
            "rate": self.rate,
            "hop": self.hop,
            "channels": list(self.channels),
            "time_axis": self.time_axis,
            "full_scale": self.full_scale,
        }

    @classmethod
    def from_json(cls, value: Any) -> StreamSettings:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {
                "rate": float() | int() as rate,
                "hop": int(hop),
                "channels": [*channels],
                "time_axis": 0 | 1 as time_axis,
                "full_scale": float() | int() as full_scale,
            } if (
                len(value) == 5
                and hop > 0
                and 0 < rate < math.inf
                and 0 < full_scale < math.inf
                and bool not in map(type, value.values())
                and channels
                and all(isinstance(name, str) for name in channels)
                and len(set(channels)) == len(channels)
            ):
                names = tuple(channels)
                return cls(float(rate), hop, names, time_axis, float(full_scale))
        raise IntegrityError(f"manifest: not the settings of a stream: {value!r:.200}")

    def faults(self, shape: tuple[int, ...]) -> str:
        """Describe why windows of *shape* cannot be cut so; empty where they can."""
        if len(shape) > 2 or self.time_axis >= len(shape):
            return f"a window of a stream has one or two axes, one of them time, found {shape}"
        n_channels = 1 if len(shape) == 1 else shape[1 - self.time_axis]
        if len(self.channels) != n_channels:
            return f"the window {shape} has {n_channels} channels, found {len(self.channels)} names"
        return ""


@record(frozen=True, slots=True)
class TensorType:
    """The dtype and the shape of one row.

    Attributes
    ----------
    dtype
        One of :data:`TENSOR_DTYPES`: the dtype in training.  The graph computes in float64.
    shape
        Length of each axis, without the axis of the rows.
    stream
        How a stream of samples is cut into such tensors; None where nobody said.
    """

    dtype: str
    shape: tuple[int, ...]
    stream: StreamSettings | None = None

    def __str__(self) -> str:
        return f"{self.dtype}, shape {self.shape}"

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``TensorType.from_json(t.to_json()) == t``."""
        stream = {} if self.stream is None else {"stream": self.stream.to_json()}
        return {"dtype": self.dtype, "shape": list(self.shape), **stream}

    @classmethod
    def from_json(cls, value: Any) -> TensorType:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {"dtype": str(dtype), "shape": [*shape]} if (
                len(value) == 2 + ("stream" in value)
                and dtype in TENSOR_DTYPES
                and 0 < len(shape) <= MAX_DIMENSIONS
                and all(type(length) is int and length > 0 for length in shape)
                and math.prod(shape) <= MAX_TENSOR_CELLS
            ):
                stream = None
                if "stream" in value:
                    stream = StreamSettings.from_json(value["stream"])
                    if stream.faults(tuple(shape)):
                        raise IntegrityError(f"manifest: {stream.faults(tuple(shape))}")
                return cls(dtype, tuple(shape), stream)
        raise IntegrityError(f"manifest: not the dtype and shape of a tensor: {value!r:.200}")


def golden_tensors(values: Sequence[Any], column: Column) -> NDArray[Any]:
    """Read all golden tensors of *column*, shape (n, ...).

    Raises
    ------
    ValueError
        One of them is damaged, or they are too many.
    """
    size = _tensor_of(column).size
    if len(values) * size > MAX_GOLDEN_CELLS:
        raise ValueError(f"{len(values)} golden tensors of {size} cells are too many")
    return np.stack([_golden_tensor(value, column) for value in values])


def _golden_tensor(value: Any, column: Column) -> NDArray[Any]:
    """Read what :func:`golden_tensor_to_json` wrote."""
    tensor = _tensor_of(column)
    match value:
        case {"pattern": int(seed)} if len(value) == 1 and 0 <= seed < PATTERNS:
            return pattern(column, seed)
        case {"base64": str(text)} if len(value) == 1:
            try:
                raw = a2b_base64(text, strict_mode=True)
            except Base64Error as error:
                raise ValueError(f"a golden tensor is not base64: {error}") from error
            cells = np.frombuffer(raw, dtype=np.dtype(tensor.dtype).newbyteorder("<"))
            return cells.reshape(tensor.shape).astype(tensor.dtype)  # ValueError for another size
    raise ValueError(f"not a golden tensor: {value!r:.80}")


def golden_tensor_to_json(
    array: NDArray[Any], column: Column, max_bytes: int = MAX_GOLDEN_BYTES
) -> dict[str, Any] | None:
    """Write a golden tensor: its bytes if they are few, else the pattern that it is, else None."""
    tensor = _tensor_of(column)
    with np.errstate(invalid="ignore"):
        cells = np.asarray(array).astype(tensor.dtype)
    if not np.array_equal(cells, array, equal_nan=True):
        return None  # its dtype cannot hold the values: a probe far outside of training
    for seed in range(PATTERNS):
        if np.array_equal(cells, pattern(column, seed)):
            return {"pattern": seed}
    raw = cells.astype(cells.dtype.newbyteorder("<")).tobytes()
    if len(raw) > max_bytes:
        return None
    return {"base64": b2a_base64(raw, newline=False).decode("ascii")}


def pattern(column: Column, seed: int) -> NDArray[Any]:
    """Make a tensor that is the same on every machine, within the training range of *column*.

    The cells are noise, a hash of their positions: integer arithmetic, and a few products and sums
    in float64.  With *seed* 1 and 2, three quarters of a cell are noise that a run of 16 or 256
    cells shares.  Otherwise all averages would meet in the middle.
    """
    tensor = _tensor_of(column)
    low = 0.0 if column.minimum is None else column.minimum
    high = low + 1.0 if column.maximum is None else column.maximum
    positions = np.arange(tensor.size, dtype=np.uint32)
    shares = _noise(positions, 1)
    if seed:
        run = min(16**seed, max(1, tensor.size // 4))
        shares = 0.75 * _noise(positions // np.uint32(run), seed + 1) + 0.25 * shares
    cells = low * (1.0 - shares) + high * shares
    if np.dtype(tensor.dtype).kind in "iu":
        cells = np.floor(cells)
    return cells.astype(tensor.dtype).reshape(tensor.shape)


def _noise(positions: NDArray[np.uint32], stream: int) -> NDArray[np.float64]:
    """Hash *positions* to numbers from 0 to 1: the finalizer of MurmurHash3 (Appleby)."""
    bits = positions + np.uint32(stream * 0x9E3779B1 & 0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits ^= bits >> np.uint32(shift)
        bits *= np.uint32(factor)
    bits ^= bits >> np.uint32(16)
    return bits.astype(np.float64) * 2.0**-32


def _tensor_of(column: Column) -> TensorType:
    if column.tensor is None:
        raise ValueError(f"the column {column.name!r} holds no tensor")
    return column.tensor
