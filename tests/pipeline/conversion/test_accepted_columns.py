"""The estimator decides where a value may be missing, and few calls ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from edge_pipeline.conversion import accepted_columns
from edge_pipeline.conversion.estimator_methods import run_method
from edge_pipeline.data.sample import take_sample
from edge_runtime.errors import InputError
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

import edge_runtime

RNG = np.random.default_rng(3)
COMPLETE = pd.DataFrame(RNG.normal(size=(120, 3)), columns=list("abc"))
y = (COMPLETE.a + COMPLETE.b > 0).astype(int)
WITH_MISSING = COMPLETE.mask(RNG.random(COMPLETE.shape) < 0.3)


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(SimpleImputer(), LogisticRegression()),
        make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression()),
        make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression()),
        make_pipeline(KNNImputer(), LogisticRegression()),
        RandomForestClassifier(7, random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
    ],
    ids=lambda estimator: "-".join(
        type(step).__name__ for step in getattr(estimator, "named_steps", {"": estimator}).values()
    ),
)
def test_missing_values_new_to_training_are_predicted(estimator: Any, tmp_path: Path) -> None:
    estimator.fit(COMPLETE, y)
    edge_pipeline.export(estimator, COMPLETE, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        columns = model.schema.columns
        assert all(column.missing and not column.missing_in_training for column in columns)
        np.testing.assert_array_equal(model.predict(WITH_MISSING), estimator.predict(WITH_MISSING))
        np.testing.assert_allclose(
            model.predict_proba(WITH_MISSING), estimator.predict_proba(WITH_MISSING), rtol=1e-9
        )
        assert model.predict_one({"a": None, "b": None, "c": None}) in (0, 1)


def test_missing_values_that_the_estimator_refuses_are_refused(tmp_path: Path) -> None:
    edge_pipeline.export(LinearRegression().fit(COMPLETE, y), COMPLETE, tmp_path / "m.onnx")
    with (
        edge_runtime.load(tmp_path / "m.onnx") as model,
        pytest.raises(InputError, match="does not accept here"),
    ):
        model.predict(WITH_MISSING)


def test_each_part_of_a_column_transformer_decides_for_its_columns() -> None:
    accepting = ColumnTransformer(
        [("imputed", SimpleImputer(), ["a"]), ("scaled", StandardScaler(), ["b"])],
        remainder="passthrough",
    ).fit(COMPLETE)
    schema = edge_pipeline.convert(accepting, COMPLETE).schema
    assert [column.missing for column in schema.columns] == [True, True, True]
    refusing = make_pipeline(
        ColumnTransformer(
            [("imputed", SimpleImputer(), ["a"]), ("raw", "passthrough", ["b", "c"])]
        ),
        LogisticRegression(),
    ).fit(COMPLETE, y)
    schema = edge_pipeline.convert(refusing, COMPLETE).schema
    assert [column.missing for column in schema.columns] == [True, False, False]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("as-estimator", [True, True, True]),
        ("as-trained", [False, False, True]),
        ("refuse", [False, False, False]),
        ({"a": "as-trained", "c": "refuse"}, [False, True, False]),
    ],
)
def test_the_user_can_be_stricter_than_the_estimator(missing: Any, expected: list[bool]) -> None:
    sample = COMPLETE.assign(c=COMPLETE.c.mask(COMPLETE.c > 1))
    estimator = make_pipeline(SimpleImputer(), LogisticRegression()).fit(sample, y)
    schema = edge_pipeline.convert(estimator, sample, missing=missing).schema
    assert [column.missing for column in schema.columns] == expected


@pytest.mark.parametrize("missing", ["never", {"a": "sometimes"}, {"z": "refuse"}])
def test_an_unknown_choice_or_column_is_refused(missing: Any) -> None:
    estimator = make_pipeline(SimpleImputer(), LogisticRegression()).fit(COMPLETE, y)
    with pytest.raises(edge_pipeline.ConversionError, match="missing"):
        edge_pipeline.convert(estimator, COMPLETE, missing=missing)


@pytest.mark.parametrize("n_columns", [3, 40, 300])
@pytest.mark.parametrize("imputes", [True, False])
def test_the_number_of_calls_does_not_grow_with_the_columns(
    n_columns: int, imputes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = RNG.normal(size=(20, n_columns))
    steps = [SimpleImputer()] if imputes else []
    estimator = make_pipeline(*steps, LinearRegression()).fit(X, X[:, 0])
    calls = []

    def count(*arguments: Any) -> Any:
        calls.append(arguments)
        return run_method(*arguments)

    monkeypatch.setattr(accepted_columns, "run_method", count)
    schema = edge_pipeline.convert(estimator, X).schema
    assert all(column.missing == imputes for column in schema.columns)
    assert len(calls) <= 1 + accepted_columns.TRIED_ALONE


def test_every_change_stands_in_a_table_of_bounded_size() -> None:
    sample = take_sample(pd.DataFrame(RNG.normal(size=(5, 200))).rename(columns=str))
    rows = accepted_columns.spread_values(sample.table, sample.schema.columns, [[None]] * 200, 64)
    assert len(rows) == 64
    assert rows.isna().any().all()
    assert rows.isna().to_numpy().sum() == 200


def test_one_empty_cell_never_decides_whether_a_table_can_be_exported(tmp_path: Path) -> None:
    words = pd.DataFrame({"word": RNG.choice(list("xyz"), 120), "number": COMPLETE.a})
    parts = ColumnTransformer(
        [
            ("w", OneHotEncoder(handle_unknown="ignore"), ["word"]),
            ("n", SimpleImputer(), ["number"]),
        ]
    )
    estimator = make_pipeline(parts, LogisticRegression()).fit(words, y)
    test_rows = words.copy()
    test_rows.loc[7, "number"] = np.nan
    test_rows.loc[9, "word"] = np.nan
    edge_pipeline.export(estimator, words, tmp_path / "m.onnx", X_test=test_rows)
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        np.testing.assert_array_equal(model.predict(test_rows), estimator.predict(test_rows))


@pytest.mark.parametrize(
    ("estimator", "is_accepted"), [(SVR(), False), (DecisionTreeRegressor(random_state=0), True)]
)
def test_a_missing_value_among_booleans_is_no_true(tmp_path, estimator, is_accepted):
    """An array of booleans cannot hold NaN; a cast would ask the estimator about True."""
    generator = np.random.default_rng(0)
    X, y = generator.random((60, 5)) > 0.5, generator.normal(size=60)
    edge_pipeline.export(estimator.fit(X, y), X, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        np.testing.assert_allclose(model.predict(X), estimator.predict(X), rtol=1e-9)
        assert {column.missing for column in model.schema.columns} == {is_accepted}
