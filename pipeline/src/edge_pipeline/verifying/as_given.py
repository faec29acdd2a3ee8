"""Whether scikit-learn means the same by the user's own rows as by ours.

The graph answers rows of float64.  An estimator that was trained on float32, or on whole numbers of
eight bits, computes in them: asked with the same values in float64 it is another function, and that
is no model to seal in silence.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.convert.converting import dense
from edge_pipeline.data.sample import Sample, take_sample
from edge_pipeline.errors import ConversionError

__all__ = ["MAX_ROWS", "refuse_other_arithmetic"]

MAX_ROWS = 2000
"""Rows of the user's own X that are asked: as many as of the sample when the graph is verified."""

_SEED = 20


def refuse_other_arithmetic(
    estimator: Any, X: Any, sample: Sample, methods: tuple[str, ...], tolerance: float
) -> None:
    """Ask *estimator* with *X* as it was given and as the device's rows mean it.

    Nothing is asked where both are of the same container and dtypes.

    Raises
    ------
    ConversionError
        The two answers differ: labels at all, numbers by more than *tolerance* of the largest.
    """
    ours = sample.as_trained(sample.table.head(MAX_ROWS))
    if _same_kind(X, ours):
        return
    _compare(estimator, X, X[:MAX_ROWS], ours, methods, tolerance)
    if isinstance(X, np.ndarray | pd.DataFrame) and X.ndim == 2:
        # A label flips where a rounded value meets a threshold: rare, so more rows are made.
        mixed = _recombined(X)
        rows = sample.as_trained(take_sample(mixed, estimator).table)
        _compare(estimator, X, mixed, rows, methods, tolerance)


def _compare(
    estimator: Any, X: Any, given: Any, ours: Any, methods: tuple[str, ...], tolerance: float
) -> None:
    for method in methods:
        ask = getattr(estimator, method)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            pairs = zip(_arrays(ask(given)), _arrays(ask(ours)), strict=True)
        for expected, found in pairs:
            if not _agree(expected, found, tolerance):
                raise ConversionError(
                    f"{type(estimator).__name__}.{method} answers differently for X as it is "
                    f"({_kind_of(X)}) and for the same values in float64, which the device "
                    "computes in; train and ask it in float64, e.g. fit(X.astype(float), y), or "
                    "name a wider tolerance if only numbers differ"
                )


def _recombined(X: Any) -> Any:
    """Values of each column of *X* beside those of other rows, in X's own container and dtypes."""
    picks = np.random.default_rng(_SEED).integers(0, X.shape[0], size=(2 * MAX_ROWS, X.shape[1]))
    if isinstance(X, np.ndarray):
        return np.take_along_axis(X, picks, axis=0)
    columns = [X.iloc[picks[:, i], i].reset_index(drop=True) for i in range(X.shape[1])]
    return pd.concat(columns, axis=1)


def _same_kind(X: Any, ours: Any) -> bool:
    if isinstance(X, pd.DataFrame) and isinstance(ours, pd.DataFrame):
        return list(X.dtypes) == list(ours.dtypes)
    if isinstance(X, np.ndarray) and isinstance(ours, np.ndarray):
        return bool(X.dtype == ours.dtype)
    return isinstance(X, list | tuple)


def _kind_of(X: Any) -> str:
    if isinstance(X, pd.DataFrame):
        return "a DataFrame of " + ", ".join(sorted({str(dtype) for dtype in X.dtypes}))
    dtype = getattr(X, "dtype", None)
    return f"a {type(X).__name__}" + (f" of {dtype}" if dtype is not None else "")


def _arrays(answer: Any) -> list[Any]:
    return [dense(item) for item in answer] if isinstance(answer, list) else [dense(answer)]


def _agree(expected: Any, found: Any, tolerance: float) -> bool:
    if expected.shape != found.shape:
        return False
    if expected.dtype.kind not in "f" or found.dtype.kind not in "f":
        return bool((expected == found).all())
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], found[~finite], equal_nan=True):
        return False
    scale = float(np.abs(expected[finite]).max(initial=0.0)) or 1.0
    return bool((np.abs(expected[finite] - found[finite]) <= tolerance * scale).all())
