"""Tensors in the manifest: dtype, shape, and golden rows of a few bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.bundle.tensor_type import (
    PATTERNS,
    TENSOR_DTYPES,
    TensorType,
    golden_tensor_to_json,
    golden_tensors,
    pattern,
)
from edge_runtime.errors import IntegrityError

PICTURE = Column("x", "tensor", minimum=3.0, maximum=200.0, tensor=TensorType("uint8", (20, 30, 3)))
SOUND = Column("x", "tensor", minimum=-1.5, maximum=2.5, tensor=TensorType("float32", (40,)))


@pytest.mark.parametrize("column", [PICTURE, SOUND, replace(SOUND, missing=True)])
def test_a_schema_of_one_tensor_is_written_and_read(column: Column) -> None:
    schema = Schema("tensor", (column,))
    assert Schema.from_json(schema.to_json()) == schema
    assert schema.numbers_width == column.tensor.size  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "complex64", "shape": [3]},
        {"dtype": "uint8", "shape": []},
        {"dtype": "uint8", "shape": [3, 0]},
        {"dtype": "uint8", "shape": [3, -1]},
        {"dtype": "uint8", "shape": [True]},
        {"dtype": "uint8", "shape": [2.0]},
        {"dtype": "uint8", "shape": [1] * 9},
        {"dtype": "uint8", "shape": [2**30, 2**30]},
        {"dtype": "uint8", "shape": [3], "strides": [1]},
        {"dtype": "uint8"},
        [3],
        None,
    ],
)
def test_other_tensors_in_a_manifest_are_refused(tensor: Any) -> None:
    value = Schema("tensor", (PICTURE,)).to_json()
    value["columns"][0]["tensor"] = tensor
    with pytest.raises(IntegrityError, match=r"tensor|column"):
        Schema.from_json(value)


def test_a_tensor_column_needs_the_kind_tensor_and_the_reverse() -> None:
    value = Schema("tensor", (PICTURE,)).to_json()
    with pytest.raises(IntegrityError, match="only column"):
        Schema.from_json({**value, "kind": "array"})
    number = Column("x", "float64").to_json()
    with pytest.raises(IntegrityError, match="only column"):
        Schema.from_json({**value, "columns": [number]})
    with pytest.raises(IntegrityError, match="one column"):
        Schema.from_json({**value, "columns": [*value["columns"], {**number, "name": "y"}]})
    with pytest.raises(IntegrityError, match="not a column"):
        Schema.from_json({**value, "columns": [{**value["columns"][0], "type": "float64"}]})


@pytest.mark.parametrize("dtype", TENSOR_DTYPES)
def test_golden_tensors_are_written_and_read(dtype: str) -> None:
    cells = np.arange(12).astype(dtype).reshape(3, 4)
    if cells.dtype.kind == "f":
        cells[0, 0] = np.nan
    column = replace(SOUND, missing=True, tensor=TensorType(dtype, (3, 4)))
    (read,) = golden_tensors([golden_tensor_to_json(cells, column)], column)
    assert read.dtype == cells.dtype
    np.testing.assert_array_equal(read, cells)


@pytest.mark.parametrize("column", [PICTURE, SOUND])
def test_patterns_stay_within_the_range_and_differ(column: Column) -> None:
    patterns = [pattern(column, seed) for seed in range(PATTERNS)]
    for seed, cells in enumerate(patterns):
        assert cells.dtype == column.tensor.dtype  # type: ignore[union-attr]
        assert column.minimum <= cells.min() < cells.max() <= column.maximum  # type: ignore[operator]
        assert golden_tensor_to_json(cells, column) == {"pattern": seed}
    assert not np.array_equal(patterns[0], patterns[1])


@pytest.mark.parametrize("column", [PICTURE, SOUND])
@pytest.mark.parametrize("seed", range(PATTERNS))
def test_patterns_are_the_finalizer_of_murmurhash3(column: Column, seed: int) -> None:
    tensor = column.tensor
    low, high = column.minimum, column.maximum
    assert tensor is not None
    assert low is not None
    assert high is not None
    run = min(16**seed, tensor.size // 4)
    fine = np.array([_murmur3(i, 1) / 2**32 for i in range(tensor.size)])
    coarse = np.array([_murmur3(i // run, seed + 1) / 2**32 for i in range(tensor.size)])
    shares = 0.75 * coarse + 0.25 * fine if seed else fine
    cells = low * (1 - shares) + high * shares
    expected = np.floor(cells) if tensor.dtype == "uint8" else cells
    np.testing.assert_array_equal(
        pattern(column, seed), expected.astype(tensor.dtype).reshape(tensor.shape)
    )


def _murmur3(position: int, stream: int) -> int:
    """Compute the finalizer in Python's own integers."""
    h = (position + stream * 0x9E3779B1) % 2**32
    h = (h ^ (h >> 16)) * 0x85EBCA6B % 2**32
    h = (h ^ (h >> 13)) * 0xC2B2AE35 % 2**32
    return h ^ (h >> 16)


def test_large_tensors_and_those_beyond_the_dtype_have_no_golden_form() -> None:
    assert golden_tensor_to_json(np.full((20, 30, 3), 7), PICTURE) is None
    column = replace(PICTURE, tensor=TensorType("uint8", (2,)))
    assert golden_tensor_to_json(np.array([1.0, 300.0]), column) is None
    assert golden_tensor_to_json(np.array([1.0, 2.5]), column) is None


@pytest.mark.parametrize(
    "value",
    [{"pattern": PATTERNS}, {"pattern": -1}, {"base64": "%%"}, {"base64": "AAAA"}, {}, [0], None],
)
def test_damaged_golden_tensors_raise_valueerror(value: Any) -> None:
    with pytest.raises(ValueError, match=r"golden|reshape|buffer"):
        golden_tensors([value], SOUND)


def test_golden_tensors_cannot_fill_the_memory() -> None:
    column = replace(SOUND, tensor=TensorType("float32", (1 << 23,)))
    with pytest.raises(ValueError, match="too many"):
        golden_tensors([{"pattern": 0}] * 5, column)
