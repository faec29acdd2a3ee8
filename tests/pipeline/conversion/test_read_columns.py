"""Columns that nobody reads may hold anything, and may be absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import polars
import pytest
from edge_runtime.errors import InputError
from scipy import sparse
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edge_runtime

RNG = np.random.default_rng(0)
NUMBERS = pd.DataFrame(RNG.normal(size=(200, 3)), columns=list("abc"))
y = (NUMBERS.a + NUMBERS.b > 0).astype(int)
TABLE = NUMBERS.assign(
    when=pd.date_range("2024-01-01", periods=200),
    id=2**60 + np.arange(200),
    mixed=[1, "two"] * 100,
)


def scaled_pair() -> ColumnTransformer:
    return ColumnTransformer([("n", StandardScaler(), ["a", "b"])])


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(scaled_pair(), LogisticRegression()),
        GridSearchCV(make_pipeline(scaled_pair(), LogisticRegression()), {}, cv=2),
        TransformedTargetRegressor(make_pipeline(scaled_pair(), Ridge())),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("sample", [TABLE, NUMBERS, NUMBERS[["b", "a"]]], ids=["all", "abc", "ba"])
def test_columns_that_nobody_reads_do_not_matter(
    estimator: Any, sample: pd.DataFrame, tmp_path: Path
) -> None:
    estimator.fit(TABLE, y)
    edge_pipeline.export(estimator, sample, tmp_path / "m.onnx", X_test=TABLE)
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        assert set(model.schema.names) == {"a", "b"}
        expected = estimator.predict(TABLE)
        for rows in (TABLE, NUMBERS, NUMBERS[["a", "b"]], TABLE.to_dict("records")):
            np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-9)
        assert model.predict_one(TABLE.iloc[0].to_dict()) == pytest.approx(expected[0])
        with pytest.raises(InputError, match="does not know 'stranger'"):
            model.predict(TABLE.assign(stranger=1))


def test_a_polars_frame_with_unread_columns_is_a_sample(tmp_path: Path) -> None:
    estimator = make_pipeline(scaled_pair(), LogisticRegression()).fit(TABLE, y)
    frame = polars.DataFrame({name: TABLE[name].to_list() for name in ("a", "b", "when")})
    edge_pipeline.export(estimator, frame, tmp_path / "m.onnx")
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        np.testing.assert_array_equal(model.predict(frame), estimator.predict(TABLE))


@pytest.mark.parametrize("container", ["matrix", "array"])
@pytest.mark.parametrize("name", ["csr", "csc", "coo", "dia", "bsr", "lil", "dok"])
def test_every_sparse_format_is_a_sample(name: str, container: str, tmp_path: Path) -> None:
    dense = RNG.normal(size=(60, 5)) * (RNG.random((60, 5)) < 0.5)
    X = getattr(sparse, f"{name}_{container}")(dense)
    estimator = LogisticRegression().fit(X, dense[:, 0] > 0)
    edge_pipeline.export(estimator, X, tmp_path / "m.onnx", X_test=X)
    with edge_runtime.load(tmp_path / "m.onnx") as model:
        np.testing.assert_array_equal(model.predict(dense), estimator.predict(X))


def test_an_estimator_whose_repr_raises_is_described_by_its_class(tmp_path: Path) -> None:
    class Unprintable(LogisticRegression):
        def __repr__(self, N_CHAR_MAX: int = 700) -> str:
            raise AttributeError("no such parameter")

    estimator = Unprintable().fit(NUMBERS, y)
    result = edge_pipeline.export(estimator, NUMBERS, tmp_path / "m.onnx")
    assert result.manifest.estimator == "Unprintable"
