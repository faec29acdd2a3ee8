"""Encoders give every value its code, and refuse the values that scikit-learn refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.conversion.estimators import encoders
from edge_pipeline.errors import UnsupportedEstimatorError
from edge_runtime.errors import InputError
from pipeline.conversion.estimators.parity import assert_same
from pipeline.conversion.estimators.tables import fitted
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    LabelBinarizer,
    LabelEncoder,
    OneHotEncoder,
    OrdinalEncoder,
    TargetEncoder,
)

import edge_runtime

RNG = np.random.default_rng(0)


def _strings(n: int, gap: Any = "", extra: tuple[str, ...] = ()) -> Any:
    cells = RNG.choice([*"abcdefg", "ä ö", *extra], size=(n, 3)).astype(object)
    cells[:, 1] = RNG.choice(["yes", "no"], size=n)
    if gap != "":
        cells[RNG.random(cells.shape) < 0.1] = gap
    return cells


def _numbers(n: int, gaps: bool = False, extra: tuple[float, ...] = ()) -> Any:
    cells = RNG.choice([1.7, 1.2, -3.0, 0.0, 5.5, 1e10, *extra], size=(n, 3))
    if gaps:
        cells[RNG.random(cells.shape) < 0.1] = np.nan
    return cells


def _frame(n: int, extra: tuple[Any, ...] = ()) -> Any:
    return pd.DataFrame(
        {
            "string": _strings(n, np.nan, tuple(f"new {e}" for e in extra))[:, 0],
            "float": _numbers(n, True, extra)[:, 0],
            "whole": RNG.integers(-3, 4 + 3 * len(extra), size=n),
            "flag": RNG.random(n) < 0.5,
        }
    )


TABLES = {
    "strings": (_strings(150), _strings(40), _strings(40, extra=("z", ""))),
    "strings with NaN": (_strings(150, np.nan), _strings(40, np.nan), _strings(40, np.nan, ("z",))),
    "strings with None": (_strings(150, None), _strings(40, None), _strings(40, None, ("z",))),
    "floats": (_numbers(150), _numbers(40), _numbers(40, extra=(7.7, 1.0))),
    "floats with NaN": (_numbers(150, True), _numbers(40, True), _numbers(40, True, (7.7,))),
    "whole": tuple(RNG.integers(-3, top, size=(n, 3)) for n, top in ((150, 4), (40, 4), (40, 9))),
    "frame": (_frame(150), _frame(40), _frame(40, (7.7,))),
}
LENIENT = [
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(handle_unknown="ignore", drop="if_binary", sparse_output=False),
    OneHotEncoder(handle_unknown="ignore", min_frequency=0.1, dtype=np.float32),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30, dtype=int),
    OneHotEncoder(handle_unknown="infrequent_if_exist", drop="first", max_categories=3),
    OneHotEncoder(handle_unknown="warn", max_categories=4),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, min_frequency=0.15),
    OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=50,
        max_categories=3,
        encoded_missing_value=60,
        dtype=np.int64,
    ),
]
NARROW = [
    *(OneHotEncoder(handle_unknown="ignore", dtype=dtype) for dtype in (np.int8, np.uint64, bool)),
    *(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99, dtype=dtype)
        for dtype in (np.uint8, np.int16, np.float16, bool, object)
    ),
]
STRICT = [OneHotEncoder(), OneHotEncoder(drop="first"), OrdinalEncoder(encoded_missing_value=-1)]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("encoder", LENIENT, ids=repr)
def test_seen_and_unseen_categories_are_encoded_alike(encoder: Any, table: str) -> None:
    X, _, unknown = TABLES[table]
    assert_same(fitted(encoder, X), X, unknown)


@pytest.mark.parametrize("encoder", NARROW, ids=repr)
def test_codes_have_the_encoders_dtype(encoder: Any) -> None:
    X, _, unknown = TABLES["strings"]
    assert_same(fitted(encoder, X), X, unknown)


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("encoder", STRICT, ids=repr)
def test_an_unseen_category_is_refused_as_by_the_encoder(
    encoder: Any, table: str, tmp_path: Path
) -> None:
    X, seen_rows, unknown = TABLES[table]
    assert_same(fitted(encoder, X), X, seen_rows)
    edge_pipeline.export(encoder, X, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        assert all(column.closed for column in model.schema.columns if column.type != "bool")
        with pytest.raises(ValueError, match="unknown categories"):
            encoder.transform(unknown)
        with pytest.raises(InputError, match=r"row .*known from training"):
            model.transform(unknown)


def test_drop_and_categories_are_the_users() -> None:
    X, _, unknown = TABLES["strings"]
    encoder = OneHotEncoder(drop=[X[0, 0], "yes", X[0, 2]], handle_unknown="ignore")
    assert_same(fitted(encoder, X), X, unknown)
    categories = [["z", *"abcdefg", "ä ö"], ["no", "yes", "z"], ["b", "a", *"cdefg", "ä ö"]]
    encoder_of_categories = fitted(OneHotEncoder(categories=categories), X)
    more = np.array([["z", "z", "a"], ["a", "no", "b"]], dtype=object)
    assert_same(encoder_of_categories, X, more)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("target", ["binary", "multiclass", "continuous"])
def test_a_category_becomes_its_target_mean(target: str, table: str) -> None:
    """An unseen category becomes the mean of all targets."""
    X, _, unknown = TABLES[table]
    rng = np.random.default_rng(1)
    y = {
        "binary": rng.choice(["no", "yes"], len(X)),
        "multiclass": rng.choice(["x", "y", "z"], len(X)),
        "continuous": rng.normal(size=len(X)),
    }[target]
    assert_same(fitted(TargetEncoder(smooth=2.5), X, y), X, unknown, tolerance=1e-15)


def test_none_beside_nan_is_refused() -> None:
    """The device has only one missing value."""
    X = np.array([["a"], [None], [np.nan], ["b"]], dtype=object)
    with pytest.raises(UnsupportedEstimatorError, match="both None and NaN"):
        edge_pipeline.convert(fitted(OneHotEncoder(), X), X)


def test_wide_tables_of_many_values_have_a_look_up_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MAX_TABLE_CELLS", 10)
    X, seen_rows, _ = TABLES["frame"]
    assert_same(fitted(OrdinalEncoder(), X), X, seen_rows)


def test_unseen_categories_are_refused_after_imputation(tmp_path: Path) -> None:
    X = TABLES["frame"][0]
    numbers = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    strings = make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder())
    columns = ColumnTransformer(
        [("s", strings, ["string"]), ("n", numbers, ["float"]), ("w", OneHotEncoder(), ["whole"])]
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(X, X["flag"])
    edge_pipeline.export(pipeline, X, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        row = {"string": "a", "float": np.nan, "whole": 2, "flag": True}
        assert model.predict_one(row) == pipeline.predict(pd.DataFrame([row]))[0]
        for column, value in (("string", "new"), ("float", 7.7), ("whole", 99)):
            with pytest.raises(InputError, match=rf"column '{column}'.*known from training"):
                model.predict_one({**row, column: value})
            with pytest.raises(InputError, match=f"row 1, column '{column}'"):
                model.predict([row, {**row, column: value}])


LABELS = {
    "strings": np.array(["b", "a", "ä"] * 5),
    "ints": np.array([-2, 7, 0, 7] * 4),
    "two": np.array([3, 8] * 6),
    "bools": np.array([True, False] * 5),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_become_positions_or_columns(labels: Any) -> None:
    assert_same(fitted(LabelEncoder(), labels), labels, labels[::-1])
    for parameters in ({}, {"neg_label": -1, "pos_label": 2}, {"neg_label": -3, "pos_label": 0}):
        assert_same(fitted(LabelBinarizer(**parameters), labels), labels, labels[::-1])


def test_an_unseen_label_is_refused(
    tmp_path: Path,
) -> None:
    """LabelEncoder has no code for it, and LabelBinarizer of two classes no column."""
    for estimator, labels in ((LabelEncoder(), [1, 2, 3] * 4), (LabelBinarizer(), [1, 2] * 5)):
        edge_pipeline.export(estimator.fit(labels), np.array(labels), tmp_path / "m.onnx")
        with (
            edge_runtime.load(tmp_path / "m.onnx") as model,
            pytest.raises(InputError, match="known from training"),
        ):
            model.transform(np.array([9]))


def test_label_columns_are_marked_as_the_binarizer_marks_them() -> None:
    marks = np.random.default_rng(0).integers(0, 2, (30, 4))
    for parameters in ({}, {"neg_label": -1, "pos_label": 5}, {"neg_label": -1, "pos_label": 0}):
        assert_same(fitted(LabelBinarizer(**parameters), marks), marks, marks[:7])


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder(), TargetEncoder()])
@pytest.mark.parametrize("cells", [[0, 3, 7], [True, False], [0.5, 2, -1]])
def test_an_array_of_objects_may_hold_numbers(encoder: Any, cells: list[Any]) -> None:
    X = np.array([[cells[i % len(cells)], cells[i // 3 % len(cells)]] for i in range(60)], object)
    assert_same(encoder.fit(X, np.arange(60) % 2), X, X[:20])
