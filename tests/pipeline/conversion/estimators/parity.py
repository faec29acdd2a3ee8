"""The one question of every family's tests: does the sealed file answer as the estimator does?

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


def assert_same(estimator: Any, X: Any, unseen: Any, *, tolerance: float = 1e-9) -> None:
    """Export, load with edge_runtime, and compare every method on rows that X does not have.

    Labels, integers and booleans must be equal; numbers may differ by *tolerance* times the
    largest magnitude of the answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        edge_pipeline.export(estimator, X, path, tolerance=tolerance)
        with edge_runtime.load(path) as model:
            for method in METHODS:
                if hasattr(estimator, method):
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        expected = getattr(estimator, method)(unseen)
                    found = getattr(model, method)(unseen)
                    assert isinstance(found, list) == isinstance(expected, list)
                    pairs = zip(
                        expected if isinstance(expected, list) else [expected],
                        found if isinstance(found, list) else [found],
                        strict=True,
                    )
                    for e, f in pairs:
                        assert_close(e, f, tolerance, f"{type(estimator).__name__}.{method}")


def assert_close(expected: Any, found: Any, tolerance: float, what: str) -> None:
    """Same shape and dtype kind, equal labels, numbers within *tolerance*."""
    expected = expected.toarray() if hasattr(expected, "toarray") else np.asarray(expected)
    assert found.shape == expected.shape, what
    assert found.dtype.kind == expected.dtype.kind, what
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected, err_msg=what)
        return
    finite = expected[np.isfinite(expected)]
    scale = float(np.abs(finite).max()) if finite.size else 1.0
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=tolerance * (scale or 1.0), equal_nan=True, err_msg=what
    )
