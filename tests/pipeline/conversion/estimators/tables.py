"""Make small tables to fit on, and rows that they do not have."""

from __future__ import annotations

import warnings
from typing import Any

import edge_pipeline
import numpy as np
import onnxruntime

CLASSES = {
    "strings": np.array(["adelie", "chinstrap", "gentoo"]),
    "ints": np.array([10, 20, 35]),
    "negative ints": np.array([-3, -1, 7]),
    "floats": np.array([-1.0, 0.0, 2.0]),
    "bools": np.array([False, True]),
}


def rows(n: int = 60, d: int = 4, *, seed: int = 0) -> Any:
    """Rows of uneven scales."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.resize([1.0, 3.0, 0.5, 10.0], d)


def unseen(d: int = 4, *, seed: int = 1) -> Any:
    """Rows that training did not see: ordinary, tiny, huge, zero."""
    base = rows(12, d, seed=seed)
    return np.vstack([base, base[:3] * 1e-9, base[:3] * 1e5, np.zeros((1, d))])


def signal(X: Any, *, seed: int = 2) -> Any:
    """A noisy linear target."""
    noise = np.random.default_rng(seed).normal(size=len(X))
    return X @ np.linspace(1.0, -1.0, X.shape[1]) + noise


def labels(X: Any, classes: Any, *, seed: int = 2) -> Any:
    """*classes* in turn along the signal."""
    target = signal(X, seed=seed)
    cuts = np.quantile(target, np.linspace(0, 1, len(classes) + 1)[1:-1])
    return np.asarray(classes)[np.digitize(target, cuts)]


def fitted(estimator: Any, X: Any, y: Any = None) -> Any:
    """Fit *estimator* without its warnings, mostly of convergence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X) if y is None else estimator.fit(X, y)


def assert_zero_rows_are_accepted(estimator: Any, X: Any) -> None:
    """Assert that the graph accepts zero rows and returns zero rows."""
    graph = edge_pipeline.convert(estimator, X).graph
    session = onnxruntime.InferenceSession(graph)
    for output in session.run(None, {"numbers": X[:0].reshape(0, np.ndim(X) == 1 or X.shape[1])}):
        assert len(output) == 0
