"""Validate tensors: any array of the shape whose numbers are finite, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from edge_runtime.bundle.schema import NUMBERS, Column, InputLimits, Schema
from edge_runtime.bundle.tensor_type import TensorType
from edge_runtime.errors import InputError
from edge_runtime.inputs.flags import Flagger
from edge_runtime.inputs.single_row import RowBuffers, row_writer
from edge_runtime.inputs.tables import InputReader

COLUMN = Column("x", "tensor", minimum=0.0, maximum=9.0, tensor=TensorType("uint8", (2, 3)))
ROWS = np.arange(24).reshape(4, 2, 3) % 10


def reader(column: Column = COLUMN) -> InputReader:
    return InputReader(Schema("tensor", (column,)))


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.astype(dtype)
        for dtype in ("uint8", "int16", "int64", "uint64", "float16", "float32", "float64", "bool")
    ]
    + [
        np.asfortranarray(ROWS, dtype=float),
        ROWS[::-1, :, ::-1].astype("f4"),
        ROWS.astype(">i2"),
        ROWS.tolist(),
        list(ROWS),
        ROWS.astype(object),
        np.ma.masked_array(ROWS),
        {"x": list(ROWS)},
    ],
)
def test_every_container_of_the_shape_is_read(rows: Any) -> None:
    feeds, n_rows = reader().feeds(rows)
    expected = np.asarray(rows["x"] if isinstance(rows, dict) else rows).astype(float)
    np.testing.assert_array_equal(feeds[NUMBERS].astype(float), expected.reshape(4, 6))
    assert n_rows == 4
    if isinstance(rows, dict):
        return
    buffers = RowBuffers(reader().schema)
    row_writer(reader())(rows[1], buffers)
    np.testing.assert_array_equal(buffers.numbers, expected[1].reshape(1, 6))


def test_float64_and_narrow_integers_are_not_copied() -> None:
    for rows in (ROWS.astype(float), ROWS.astype(np.uint8)):
        assert np.shares_memory(reader().feeds(rows)[0][NUMBERS], rows)
    row = ROWS[0].astype(float)
    tensors = reader().tensors
    assert tensors is not None
    assert np.shares_memory(tensors.row_block(row), row)


@pytest.mark.parametrize("rows", [[], ROWS[:0], np.empty((0, 6))])
def test_no_rows_are_no_rows(rows: Any) -> None:
    feeds, n_rows = reader().feeds(rows)
    assert n_rows == 0
    assert feeds[NUMBERS].shape == (0, 6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[0], r"found \(2, 3\); for one row use predict_one"),
        (ROWS.reshape(4, 6), r"expected an array of shape \(n, 2, 3\), found \(4, 6\)"),
        (ROWS.transpose(0, 2, 1), r"found \(4, 3, 2\); as in training: uint8, shape \(2, 3\)"),
        (np.float64(3.0), r"found \(\)"),
        ("text", "found str"),
        (b"\0\0", "found bytes"),
        ({"y": ROWS}, "found dict"),
        (None, "found None|NoneType"),
        ([[["a"] * 3] * 2], "of numbers, found dtype"),
        ([[[1, 2, 3], [4, 5]]], "unequal length|no such array"),
        (ROWS.astype(complex), "found dtype complex128"),
        (ROWS.astype("M8[s]"), "found dtype datetime64"),
        (ROWS.astype(np.longdouble), "of numbers, found dtype"),
        (np.full((1, 2, 3), 2**53 + 1), "float64 holds exactly, found 9007199254740993"),
    ],
)
def test_other_rows_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reader().feeds(rows)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cells_that_are_no_finite_number_are_named(value: float, dtype: str) -> None:
    rows = ROWS.astype(dtype)
    rows[2, 1, 0] = value
    with pytest.raises(InputError, match=rf"row 2, column 'x': .* found {value} at \(1, 0\)"):
        reader().feeds(rows)
    with pytest.raises(InputError, match=rf"^column 'x': .* found {value} at \(1, 0\)"):
        row_writer(reader())(rows[2], RowBuffers(reader().schema))


def test_missing_values_are_read_where_the_estimator_reads_them() -> None:
    lenient = reader(replace(COLUMN, missing=True))
    rows = ROWS.astype(float)
    rows[1, 0, 0] = np.nan
    assert np.isnan(lenient.feeds(rows)[0][NUMBERS]).sum() == 1
    assert np.isnan(lenient.feeds([[[None, 1, 2], [3, 4, 5]]])[0][NUMBERS]).sum() == 1
    rows[1, 0, 0] = np.inf
    with pytest.raises(InputError, match="found inf"):
        lenient.feeds(rows)


def test_limits_hold_for_every_cell() -> None:
    limited = reader(replace(COLUMN, limits=InputLimits(0.0, 8.5)))
    with pytest.raises(InputError, match=r"row 1, .*limits set at the build, found 9 at \(1, 0\)"):
        limited.feeds(ROWS)
    with pytest.raises(InputError, match="found 9"):
        row_writer(limited)(ROWS[1].astype(float), RowBuffers(limited.schema))
    limited.feeds(ROWS[:1])


def test_a_row_has_a_flag_for_each_end_of_the_range() -> None:
    rows = ROWS.astype(float)
    rows[1, 0, 0], rows[1, 1, 1], rows[3, 0, 1] = 20.0, -2.0, 30.0
    flagger = Flagger(reader())
    flags = flagger.flag_rows(rows)
    kinds = [[(flag.kind, flag.value) for flag in of_row] for of_row in flags]
    assert kinds == [
        [],
        [("below_range", -2.0), ("above_range", 20.0)],
        [],
        [("above_range", 30.0)],
    ]
    assert flagger.flag_row(rows[1]) == flags[1]
