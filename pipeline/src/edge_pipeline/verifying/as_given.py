"""Whether scikit-learn means the same by the user's own rows as by ours.

The graph answers rows of float64.  An estimator that is asked in float32, or in whole numbers of
eight bits, computes in them: asked with the same values in float64 it is another function.  Where
that function differs by the rounding of float32 alone, whoever builds is told by how much; where it
differs by more, or in a label, nothing is sealed.
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

FLOAT64_BYTES = 8

ROUNDED_AWAY = 1e-4
"""Largest difference of numbers, relative to the largest, that is taken for the rounding of
float32: it keeps seven digits, and of a sum that cancels three may go (scaled columns, squared
distances, logarithms of densities: up to 2e-6 on ordinary tables)."""

_SEED = 20


def refuse_other_arithmetic(
    estimator: Any, X: Any, sample: Sample, methods: tuple[str, ...], tolerance: float
) -> tuple[str, ...]:
    """Ask *estimator* with *X* as it was given and as the device's rows mean it.

    Nothing is asked where both are of the same container and dtypes.

    Returns
    -------
    tuple of str
        What whoever builds should know: how far scikit-learn's own rounding to float32 goes.

    Raises
    ------
    ConversionError
        The two answers differ: labels at all, numbers by more than *tolerance* of the largest, and
        of columns of float32 by more than :data:`ROUNDED_AWAY`.
    """
    ours = sample.as_trained(sample.table.head(MAX_ROWS))
    if _same_kind(X, ours):
        return ()
    allowed = max(tolerance, ROUNDED_AWAY) if _is_single(sample) else tolerance
    gaps = _compare(estimator, X, X[:MAX_ROWS], ours, methods, allowed)
    if isinstance(X, np.ndarray | pd.DataFrame) and X.ndim == 2:
        # A label flips where a rounded value meets a threshold: rare, so more rows are made.
        mixed = _recombined(X)
        rows = sample.as_trained(take_sample(mixed, estimator).table)
        gaps += _compare(estimator, X, mixed, rows, methods, allowed)
    if not max(gaps, default=0.0) > tolerance:
        return ()
    return (
        "X is of float32, in which scikit-learn itself rounds its answers, by up to "
        f"{max(gaps):.1g} of the largest; the file answers as it does for the same values in "
        "float64",
    )


def _is_single(sample: Sample) -> bool:
    return any(
        pd.api.types.is_float_dtype(dtype) and dtype.itemsize < FLOAT64_BYTES
        for dtype in sample.dtypes
    )


def _compare(
    estimator: Any, X: Any, given: Any, ours: Any, methods: tuple[str, ...], tolerance: float
) -> list[float]:
    """How far the two answers of every method lie apart."""
    gaps = []
    for method in methods:
        ask = getattr(estimator, method)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            pairs = zip(_arrays(ask(given)), _arrays(ask(ours)), strict=True)
        for expected, found in pairs:
            gaps.append(_gap(expected, found))
            if not gaps[-1] <= tolerance:
                raise ConversionError(
                    f"{type(estimator).__name__}.{method} answers differently for X as it is "
                    f"({_kind_of(X)}) and for the same values in float64, which the device "
                    "computes in; train and ask it in float64, e.g. fit(X.astype(float), y), or "
                    "name a wider tolerance if only numbers differ"
                )
    return gaps


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


def _gap(expected: Any, found: Any) -> float:
    """Largest difference relative to the largest number; infinite where a label differs."""
    if expected.shape != found.shape:
        return np.inf
    if expected.dtype.kind not in "f" or found.dtype.kind not in "f":
        return 0.0 if (expected == found).all() else np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], found[~finite], equal_nan=True):
        return np.inf
    scale = float(np.abs(expected[finite]).max(initial=0.0)) or 1.0
    return float(np.abs(expected[finite] - found[finite]).max(initial=0.0)) / scale
