"""Closed columns refuse values that training has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device.models import Parts
from device.vectorizers.test_counter import sums
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.errors import InputError

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
