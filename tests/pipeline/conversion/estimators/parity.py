"""Assert that the sealed file predicts as the estimator does.

Import it as ``from pipeline.conversion.estimators.parity import assert_same``.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
from edge_runtime.bundle.manifest import METHODS

import edge_runtime

SMALL_PROBABILITY = 1e-6
"""Below, the logarithm of a probability is compared through the probability alone."""


def assert_same(estimator: Any, X: Any, unseen: Any, *, tolerance: float = 1e-9) -> None:
    """Export, load with edge_runtime, and compare every method on rows that X does not have.

    Labels, integers and booleans must be equal; numbers may differ by *tolerance* times the
    largest magnitude of the predictions.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        edge_pipeline.export(estimator, X, path, tolerance=tolerance)
        with edge_runtime.load(path) as model:
            if hasattr(estimator, "kneighbors"):
                assert_same_neighbours(estimator, model, unseen, tolerance)
            for method in METHODS:
                if hasattr(estimator, method) and method != "kneighbors":
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        expected = getattr(estimator, method)(unseen)
                    predictions = getattr(model, method)(unseen)
                    assert isinstance(predictions, list) == isinstance(expected, list)
                    pairs = zip(
                        expected if isinstance(expected, list) else [expected],
                        predictions if isinstance(predictions, list) else [predictions],
                        strict=True,
                    )
                    for of_estimator, of_model in pairs:
                        assert_close(
                            of_estimator,
                            of_model,
                            tolerance,
                            f"{type(estimator).__name__}.{method}",
                        )


def assert_same_neighbours(
    estimator: Any, model: edge_runtime.Model, unseen: Any, tolerance: float
) -> None:
    """Equal distances; positions may differ where scikit-learn's own distances to them are equal.

    Distances by dot products that are only rounding are zero.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distances, positions = estimator.kneighbors(unseen)
        every, order = estimator.kneighbors(unseen, n_neighbors=estimator.n_samples_fit_)
    of_model, nearest = model.kneighbors(unseen)
    is_rounding = distances < 1e-6 * np.abs(every[:, -1:])
    distances, of_model = np.where(is_rounding, 0.0, (distances, of_model))
    assert_close(distances, of_model, tolerance, "kneighbors distances")
    assert nearest.shape == positions.shape
    assert nearest.dtype == np.int64
    by_position = np.empty_like(every)
    np.put_along_axis(by_position, order, every, axis=1)
    distances_to_nearest = np.take_along_axis(by_position, nearest, axis=1)
    assert_close(
        distances,
        np.where(is_rounding, 0.0, distances_to_nearest),
        tolerance,
        "kneighbors positions",
    )
    # scikit-learn repeats row 0 where distances overflow, and no row elsewhere.
    assert [len(set(row)) for row in nearest.tolist()] == [
        len(set(row)) for row in positions.tolist()
    ]


def assert_close(expected: Any, predictions: Any, tolerance: float, method: str) -> None:
    """Same shape and dtype kind, equal labels, numbers within *tolerance*."""
    expected = expected.toarray() if hasattr(expected, "toarray") else np.asarray(expected)
    assert predictions.shape == expected.shape, method
    assert predictions.dtype.kind == expected.dtype.kind, method
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(predictions, expected, err_msg=method)
        return
    if method.endswith("predict_log_proba"):
        # Most estimators compute 1 - p, so that a small probability has the last bit of 1 as its
        # error; its logarithm shows that.
        large = expected > np.log(SMALL_PROBABILITY)
        np.testing.assert_allclose(
            np.exp(predictions), np.exp(expected), rtol=0, atol=tolerance, err_msg=method
        )
        expected, predictions = expected[large], predictions[large]
        tolerance *= max(1.0, 1 / (np.abs(expected).max(initial=0.0) or 1.0))
    finite = expected[np.isfinite(expected)]
    scale = float(np.abs(finite).max()) if finite.size else 1.0
    np.testing.assert_allclose(
        predictions,
        expected,
        rtol=0,
        atol=tolerance * (scale or 1.0),
        equal_nan=True,
        err_msg=method,
    )
