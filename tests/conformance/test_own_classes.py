"""Forty classes in the styles of public notebooks are exact, or refused with the line."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import edge_pipeline
import numpy as np
import pandas as pd
import pytest

import edge_runtime
from conformance import own_classes

CLASSES = [
    kind for kind in vars(own_classes).values()
    if inspect.isclass(kind) and kind.__module__ == own_classes.__name__
    and kind is not own_classes.T
]  # fmt: skip
REFUSED = {
    "TitleRegex": "str.extract",
    "Replacer": "astype",
    "Interaction": "astype",
    "BatchScaler": "computes over the rows of the batch",
    "GroupTransform": "groupby",
}
"""Class to what the refusal names."""

NUMERIC = {"ThresholdClassifier", "RoundedRegressor", "BlendRegressor"}


def passengers(seed: int, n_rows: int) -> pd.DataFrame:
    """Make rows like those of the Titanic, with missing texts."""
    random = np.random.default_rng(seed)
    pick = random.choice
    names = zip(
        pick(["Smith", "O'Hara", "Müller", "Li"], n_rows),
        pick(["Mr", "Mrs", "Miss", "Ms", "Dr", "Rev", "Mlle"], n_rows),
        pick(["John", "Anna Maria", "Zoë"], n_rows),
        strict=True,
    )
    table = pd.DataFrame({
        "pclass": pick([1, 2, 3], n_rows),
        "sex": pick(["male", "female"], n_rows),
        "age": random.uniform(1, 80, n_rows).round(1),
        "fare": random.exponential(30, n_rows).round(2),
        "sibsp": random.integers(0, 6, n_rows),
        "parch": random.integers(0, 4, n_rows),
        "name": [f"{last}, {title}. {first}" for last, title, first in names],
        "embarked": pick(["S", "C", "Q", "X"], n_rows, p=[0.6, 0.25, 0.1, 0.05]),
        "cabin": pick(["A12", "B3", "C101", "U"], n_rows),
        "ticket": pick(["A/5 211", "113803", "PC 17599"], n_rows),
    })  # fmt: skip
    table["cabin"] = table["cabin"].mask(random.random(n_rows) < 0.5)
    table["embarked"] = table["embarked"].mask(random.random(n_rows) < 0.05)
    return table


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_class_is_exact_or_refused_with_its_line(kind: type, tmp_path: Path) -> None:
    """The oracle is the class itself, on rows that training did not see."""
    X, unseen = passengers(3, 150), passengers(4, 100)
    y = (
        X["age"]
        if kind.__name__ in ("RoundedRegressor", "BlendRegressor")
        else (X["fare"] > 30) * 1
    )
    if kind.__name__ in NUMERIC:
        X, unseen = X[["age", "fare", "sibsp"]], unseen[["age", "fare", "sibsp"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = kind().fit(X, y)
        if kind.__name__ in REFUSED:
            with pytest.raises(edge_pipeline.UnsupportedEstimatorError) as refusal:
                edge_pipeline.export(estimator, X, tmp_path / "m.onnx")
            assert REFUSED[kind.__name__] in str(refusal.value)
            assert "own_classes.py, line" in str(refusal.value)
            return
        edge_pipeline.export(estimator, X, tmp_path / "m.onnx")
        method = "transform" if hasattr(estimator, "transform") else "predict"
        expected = np.asarray(getattr(estimator, method)(unseen), dtype=float)
        device = getattr(edge_runtime.load(tmp_path / "m.onnx"), method)(unseen)
    np.testing.assert_allclose(np.asarray(device, dtype=float), expected, rtol=1e-9, atol=1e-12)


def test_at_least_34_of_40_are_exact() -> None:
    assert len(CLASSES) == 40
    assert len(CLASSES) - len(REFUSED) >= 34
