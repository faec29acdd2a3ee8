"""Histogram boosters over categories of every dtype are proven."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.conversion.convert import convert_sample, sample_for
from edge_pipeline.proof.formulas.registry import looked_up
from edge_pipeline.proof.prove import Proof, prove
from edge_pipeline.proof.scalars import SELF, variable
from edge_pipeline.verification.verify import verify_model
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

ROWS = 120

CATEGORIES: dict[str, Any] = {
    **{
        dtype: np.array([1, 2, 3], dtype=dtype)
        for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    "negative": np.array([-7, 0, 2**40]),
    "unsorted": np.array([30, 1, 20]),
    "truth values": np.array([True, False]),
    "floats": np.array([0.1, -0.0, 1e300, 2.5]),
    "float32": np.array([0.1, -3.5, 7.25], dtype=np.float32),
    "texts": np.array(["oak", "ash", "élm"], dtype=object),
    "texts that spell numbers": np.array(["1", "1.0", "nan", ""], dtype=object),
    "one alone": np.array([5]),
    "a hundred": np.arange(100),
    "extension integers": pd.array([3, 1, 2], dtype="Int32"),
    "extension truth values": pd.array([True, False], dtype="boolean"),
}


def frame(categories: Any, *, missing: bool = False) -> pd.DataFrame:
    column = pd.Series(pd.Categorical.from_codes(codes(len(categories)), pd.Index(categories)))
    if missing:
        column[::7] = None
    return pd.DataFrame({"kind": column, "size": [float(i % 7) for i in range(ROWS)]})


def codes(n: int) -> Any:
    return np.random.default_rng(n).integers(0, n, ROWS)


def labels(n: int) -> Any:
    return (codes(n) % 2 == 0) ^ (np.arange(ROWS) % 5 == 0)


def booster() -> Any:
    return HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=3)


def proofs_of(estimator: Any, X: Any, y: Any) -> dict[str, Proof]:
    """Fit, convert, verify on rows too, and return the proofs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    sample = sample_for(estimator, X)
    model = convert_sample(estimator, sample)
    verified = verify_model(model, estimator, sample)
    assert {e.level for e in verified.parity.outputs.values()} == {"proven"}
    return dict(prove(model.graph, estimator, model.schema, model.outputs))


@pytest.mark.slow
@pytest.mark.parametrize("missing", [False, True], ids=["full", "with missing"])
@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_of_any_dtype_are_proven(name: str, missing: bool) -> None:
    X = frame(CATEGORIES[name], missing=missing)
    assert {p.level for p in proofs_of(booster(), X, labels(len(CATEGORIES[name]))).values()} == {
        "proven"
    }


def test_a_listed_category_without_training_rows_is_proven() -> None:
    X = frame(np.array([4, 2, 9, 7]))
    X["kind"] = X["kind"].where(X["kind"] != 9, 4)
    proofs = proofs_of(booster(), X, labels(4))
    assert proofs["predict"].bound == 0.0


@pytest.mark.parametrize("textual", [False, True])
def test_categories_behind_an_imputer_and_an_encoder_are_proven(textual: bool) -> None:
    X = frame(np.array([30, 1, 20]))
    X["kind"] = X["kind"].astype(int).astype(float)
    X.loc[::9, "kind"] = np.nan
    fill: Any = SimpleImputer(strategy="most_frequent")
    if textual:
        X["kind"] = X["kind"].map({30.0: "oak", 1.0: "ash", 20.0: "elm"})
    kind = make_pipeline(fill, OrdinalEncoder())
    columns = make_column_transformer((kind, ["kind"]), ("passthrough", ["size"]))
    model = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=3, categorical_features=[0])
    proofs_of(make_pipeline(columns, model), X, labels(3))


def test_categories_behind_an_imputer_alone_are_proven() -> None:
    X = frame(np.array([3, 1, 2]))
    X["kind"] = X["kind"].astype(int).astype(float)
    X.loc[::9, "kind"] = np.nan
    model = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=3, categorical_features=[0])
    proofs_of(
        make_pipeline(SimpleImputer(strategy="most_frequent"), model), X.to_numpy(), labels(3)
    )


def test_a_category_is_the_number_in_its_cell_whatever_its_type() -> None:
    x, word = variable("numbers", 0), variable("strings", 0, textual=True)
    one = looked_up(x, [1.0], [True], False)
    assert looked_up(x, [1], [True], False).key == one.key
    assert looked_up(x, [2], [True], False).key != one.key
    assert looked_up(x, [True], [5.0], SELF).key == looked_up(x, [1.0], [5.0], SELF).key
    text = looked_up(word, ["1"], [True], False)
    assert looked_up(word, ["1.0"], [True], False).key != text.key


def test_another_set_of_categories_names_the_category() -> None:
    X = frame(np.array([1, 2, 3]))
    estimator = booster().fit(X, labels(3))
    sample = sample_for(estimator, X)
    model = convert_sample(estimator, sample)
    for predictors in estimator._predictors:
        for predictor in predictors:
            predictor.raw_left_cat_bitsets[...] ^= np.uint32(1)
    proof = prove(model.graph, estimator, replace(model.schema), model.outputs)["predict"]
    assert proof.contradicted
    assert "at 1.0 of column 'kind' where scikit-learn has" in proof.reason
    assert "(question" in proof.reason
