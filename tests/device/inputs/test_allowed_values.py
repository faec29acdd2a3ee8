"""Closed columns refuse values that training has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device.models import Parts
from device.vectorizers.test_counter import sums
from edge_runtime.bundle.schema import Column, InputLimits, Schema
from edge_runtime.errors import InputError, IntegrityError

import edge_runtime


def closed_model() -> Parts:
    columns = (
        Column("n", "int64", categories=(1.0, 2.5), closed=True),
        Column("optional", "float64", missing=True, categories=(0.0,), closed=True),
        Column("s", "string", missing=True, categories=("a", "b"), closed=True),
    )
    return sums(Schema("table", columns), [[1, None, "a"], [2.5, 0.0, None]], ["nan", 2.5])


GOOD = {"n": 1, "optional": 0, "s": "a"}


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("n", 3, "1.0, 2.5; found 3.0"),
        ("optional", 1, "0.0; found 1.0"),
        ("s", "c", "'b'; found 'c'"),
    ],
)
def test_a_closed_column_refuses_an_unseen_category(column: str, value: Any, words: str) -> None:
    with edge_runtime.load(closed_model().sealed()) as model:
        assert model.predict([GOOD]).tolist() == [1.0]
        assert model.predict_one({**GOOD, "s": None}) == 1.0
        assert np.isnan(model.predict_one({**GOOD, "optional": None}))
        with pytest.raises(InputError, match=f"row 1, column '{column}'.*{words}"):
            model.predict([GOOD, {**GOOD, column: value}])
        with pytest.raises(InputError, match=f"column '{column}'.*{words}"):
            model.predict_one({**GOOD, column: value})


def test_a_closed_column_is_checked_in_arrays_too() -> None:
    schema = Schema("array", (Column("x0", "float64", categories=(1.0, 2.0), closed=True),))
    with edge_runtime.load(sums(schema, [[1.0]], [1.0]).sealed()) as model:
        assert model.predict(np.array([[2.0], [1.0]])).tolist() == [2.0, 1.0]
        with pytest.raises(InputError, match="row 1, column 'x0'"):
            model.predict(np.array([[2.0], [1.5]]))


def test_a_closed_column_without_categories_checks_its_range() -> None:
    columns = (Column("n", "float64", missing=True, minimum=-1.0, maximum=2.0, closed=True),)
    with edge_runtime.load(sums(Schema("array", columns), [[1.0]], [1.0]).sealed()) as model:
        assert model.predict([[-1.0], [2.0]]).tolist() == [-1.0, 2.0]
        assert np.isnan(model.predict_one([None]))
        for bad in (-1.1, 2.5):
            with pytest.raises(InputError, match=r"row 1, column 'n'.*from -1.0 to 2.0"):
                model.predict(np.array([[0.0], [bad]]))
            with pytest.raises(InputError, match=r"column 'n'.*from -1.0 to 2.0"):
                model.predict_one([bad])


LIMITED = (
    Column("temperature", "float64", missing=True, limits=InputLimits(-40.0, 125.0)),
    Column("speed", "float64", limits=InputLimits(0.0)),
    Column("gear", "int64", limits=InputLimits(values=(1.0, 2.0))),
    Column("island", "string", missing=True, limits=InputLimits(values=("Biscoe", "Dream"))),
)
WITHIN = {"temperature": 20.0, "speed": 1e9, "gear": 2, "island": "Dream"}


def limited_model() -> Parts:
    return sums(Schema("table", LIMITED), [[20.0, 0.0, 1, "Dream"]], [21.0])


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("temperature", 400.0, "a number from -40.0 to 125.0, .*, found 400.0; check the source"),
        ("temperature", -40.5, "found -40.5"),
        ("speed", -1e-9, "a number from 0.0 up"),
        ("gear", 3, "one of 1.0, 2.0, .*found 3.0"),
        ("island", "Mars", "one of 'Biscoe', 'Dream', .*found 'Mars'"),
    ],
)
def test_limits_refuse_values_beyond_them(column: str, value: Any, words: str) -> None:
    with edge_runtime.load(limited_model().sealed()) as model:
        assert model.predict_one(WITHIN) == model.predict([WITHIN])[0]
        with pytest.raises(InputError, match=f"row 1, column '{column}': expected.*{words}"):
            model.predict([WITHIN, {**WITHIN, column: value}])
        with pytest.raises(InputError, match=f"column '{column}': expected.*{words}"):
            model.predict_one({**WITHIN, column: value})


def test_limits_let_bounds_and_missing_values_pass() -> None:
    with edge_runtime.load(limited_model().sealed()) as model:
        for temperature in (-40.0, 125.0, 0):
            model.predict_one({**WITHIN, "temperature": temperature})
        assert np.isnan(model.predict_one({**WITHIN, "temperature": None}))
        model.predict_one({**WITHIN, "island": None})


def test_limits_hold_for_arrays() -> None:
    schema = Schema("array", (Column("x0", "float64", limits=InputLimits(0.0, 1.0)),))
    with edge_runtime.load(sums(schema, [[1.0]], [1.0]).sealed()) as model:
        assert model.predict(np.array([[0.5], [1.0]])).tolist() == [0.5, 1.0]
        with pytest.raises(InputError, match="row 1, column 'x0'"):
            model.predict(np.array([[0.5], [1.5]]))
        with pytest.raises(InputError, match="column 'x0'"):
            model.predict_one(np.array([1.5]))


@pytest.mark.parametrize("column", [*LIMITED, Column("x", "float64")])
def test_a_column_with_limits_survives_json(column: Column) -> None:
    assert Column.from_json(column.to_json()) == column


@pytest.mark.parametrize(
    ("column_type", "limits"),
    [
        ("float64", {"minimum": 2.0, "maximum": 1.0, "values": None}),
        ("float64", {"minimum": None, "maximum": None, "values": None}),
        ("float64", {"minimum": 1.0, "maximum": None, "values": [1.0]}),
        ("float64", {"minimum": None, "maximum": None, "values": ["a"]}),
        ("float64", {"minimum": None, "maximum": None, "values": []}),
        ("float64", {"minimum": float("nan"), "maximum": None, "values": None}),
        ("float64", {"minimum": 1.0}),
        ("float64", None),
        ("string", {"minimum": 1.0, "maximum": None, "values": None}),
        ("string", {"minimum": None, "maximum": None, "values": [1.0]}),
        ("dict", {"minimum": 1.0, "maximum": None, "values": None}),
    ],
)
def test_damaged_limits_are_refused(column_type: Any, limits: Any) -> None:
    value = {**Column("x", column_type).to_json(), "limits": limits}
    with pytest.raises(IntegrityError):
        Column.from_json(value)
