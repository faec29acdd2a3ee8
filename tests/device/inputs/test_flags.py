"""Rows outside the training data are flagged; on request they cause a warning or a refusal."""

from __future__ import annotations

import json
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device.models import Parts, classifier
from device.vectorizers.test_counter import sums, text_model
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.errors import InputError, ModelClosedError, OutsideTrainingWarning

import edge_runtime
from edge_runtime import Flag

COLUMNS = (
    Column("length", "float64", missing=True, minimum=30.0, maximum=60.0),
    Column("island", "string", missing=True, categories=("Biscoe", "Dream")),
    Column("year", "int64", missing=True, minimum=2007.0, maximum=2007.0),
    Column("sex", "string", missing=True, categories=("f", "m"), missing_in_training=True),
    Column("mass", "float64", missing=True, minimum=1.0, maximum=2.0, missing_in_training=True),
    Column("size", "int64", missing=True, categories=(1.0, 3.0)),
    Column("note", "string", missing=True),
)
ORDINARY = {
    "length": 40.0,
    "island": "Dream",
    "year": 2007,
    "sex": None,
    "mass": None,
    "size": 3,
    "note": "any text",
}


def flagged_model() -> Parts:
    rows = [[40.0, "Dream", 2007, None, 1.0, 3, ""]]
    return sums(Schema("table", COLUMNS), rows, [2051.0])


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ()),
        ({"length": 400.0}, (Flag("length", "above_range", 400.0, 340.0, 340 / 30),)),
        ({"length": 27}, (Flag("length", "below_range", 27.0, 3.0, 0.1),)),
        ({"length": 60.0}, ()),
        ({"year": 2009}, (Flag("year", "above_range", 2009, 2.0, None),)),
        ({"island": "Mars"}, (Flag("island", "unseen_category", "Mars"),)),
        ({"island": None}, (Flag("island", "missing_value", None),)),
        ({"size": 2}, (Flag("size", "unseen_category", 2),)),
        ({"size": math.nan}, (Flag("size", "missing_value", None),)),
        ({"note": None}, (Flag("note", "missing_value", None),)),
        (
            {"sex": "x", "length": math.nan},
            (Flag("length", "missing_value", None), Flag("sex", "unseen_category", "x")),
        ),
    ],
)
def test_a_cell_outside_training_has_a_flag(changes: dict[str, Any], flags: Any) -> None:
    row = {**ORDINARY, **changes}
    with edge_runtime.load(flagged_model().sealed()) as model:
        assert model.check_rows([ORDINARY, row, ORDINARY]) == [(), flags, ()]
        prediction, row_flags = model.predict_one_with_flags(row)
        assert row_flags == flags
        assert prediction == pytest.approx(model.predict_one(row), nan_ok=True)


def test_flags_stay_with_their_rows_in_large_tables() -> None:
    X = np.full((10_000, 3), 1.0)
    X[[17, 9_999], [2, 0]] = 5.0, -2.0
    with edge_runtime.load(classifier().sealed()) as model:
        flags = model.check_rows(X)
        assert len(flags) == len(X)
        assert {row: f for row, f in enumerate(flags) if f} == {
            17: (Flag("x2", "above_range", 5.0, 1.0, 0.2),),
            9_999: (Flag("x0", "below_range", -2.0, 1.0, 0.2),),
        }
        assert model.check_rows(X[:0]) == []


def test_a_flag_is_a_plain_sentence_and_plain_json() -> None:
    above = Flag("length", "above_range", 400.0, 340.0, 340 / 30)
    assert str(above) == "length: 400.0 lies 340 above the training range, 11.3 times its span"
    assert str(Flag("year", "below_range", 2006, 1.0)) == (
        "year: 2006 lies 1 below the training range"
    )
    assert "'Mars' is not among the categories" in str(Flag("i", "unseen_category", "Mars"))
    assert str(Flag("sex", "missing_value", None)) == "sex: missing, as in no training row"
    far = Flag("x", "above_range", 1e308, math.inf, math.inf)
    assert json.loads(json.dumps(far.to_json(), allow_nan=False))["amount"] == "inf"


def test_free_text_has_no_flags() -> None:
    with edge_runtime.load(text_model().sealed()) as model:
        assert model.check_rows(["a cat", "never seen"]) == [(), ()]
        assert model.predict_one_with_flags("cat cat") == (2.0, ())


def test_a_refused_row_is_refused_by_the_check_too() -> None:
    with edge_runtime.load(flagged_model().sealed()) as model:
        with pytest.raises(InputError, match="row 1, column 'length'"):
            model.check_rows([ORDINARY, {**ORDINARY, "length": math.inf}])
        with pytest.raises(InputError, match="column 'length'"):
            model.predict_one_with_flags({**ORDINARY, "length": "long"})


STRANGE = {**ORDINARY, "length": 400.0, "island": "Mars"}


def test_warn_gives_one_warning_a_call_at_the_caller() -> None:
    with edge_runtime.load(flagged_model().sealed(), outside="warn") as model:
        with pytest.warns(OutsideTrainingWarning, match="1 of 2 rows lie.*row 1, length") as caught:
            model.predict([ORDINARY, STRANGE])
        assert [Path(w.filename).name for w in caught] == ["test_flags.py"]
        with pytest.warns(OutsideTrainingWarning, match="the row lies.*length.*island") as caught:
            model.predict_one(STRANGE)
        assert [Path(w.filename).name for w in caught] == ["test_flags.py"]
        with pytest.warns(OutsideTrainingWarning) as caught:
            model.predict_one_with_flags(STRANGE)
        assert [Path(w.filename).name for w in caught] == ["test_flags.py"]
        model.predict([ORDINARY])
        model.predict_one(ORDINARY)


def test_refuse_names_row_and_column() -> None:
    with edge_runtime.load(flagged_model().sealed(), outside="refuse") as model:
        model.predict_one(ORDINARY)
        with pytest.raises(InputError, match=r"row 1, column 'length': expected.*400.0") as caught:
            model.predict([ORDINARY, STRANGE])
        assert (caught.value.row, caught.value.column) == (1, "length")
        with pytest.raises(InputError, match=r"^column 'length'") as caught:
            model.predict_one(STRANGE)
        assert caught.value.row is None


def test_every_method_follows_the_choice() -> None:
    with edge_runtime.load(classifier().sealed(), outside="refuse") as model:
        model.warm_up()
        for method in model.methods:
            with pytest.raises(InputError, match="row 0, column 'x1'"):
                getattr(model, method)(np.array([[0.0, 9.0, 0.0]]))
        with pytest.raises(InputError, match="column 'x1'"):
            model.predict_proba_one([0.0, 9.0, 0.0])


def test_answer_is_the_default_and_says_nothing() -> None:
    with warnings.catch_warnings(), edge_runtime.load(flagged_model().sealed()) as model:
        warnings.simplefilter("error")
        model.predict([STRANGE])
        model.predict_one(STRANGE)


def test_a_golden_row_outside_training_does_not_hinder_a_warm_start() -> None:
    parts = sums(Schema("table", COLUMNS), [[400.0, "Mars", 2007, None, 1.0, 3, ""]], [2411.0])
    with edge_runtime.load(parts.sealed(), outside="refuse") as model:
        model.warm_up()


def test_the_choice_survives_pickling() -> None:
    model = edge_runtime.load(classifier().sealed(), outside="refuse")
    with pickle.loads(pickle.dumps(model)) as copy, pytest.raises(InputError):
        copy.predict_one([0.0, 9.0, 0.0])


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"outside must be one of .*found 'ignore'"):
        edge_runtime.load(classifier().sealed(), outside="ignore")  # type: ignore[arg-type]


def test_a_closed_model_flags_nothing() -> None:
    model = edge_runtime.load(classifier().sealed())
    model.check_rows([[0.0, 0.0, 0.0]])
    model.close()
    with pytest.raises(ModelClosedError):
        model.check_rows([[0.0, 0.0, 0.0]])
    with pytest.raises(ModelClosedError):
        model.predict_one_with_flags([0.0, 0.0, 0.0])
