"""Whether scikit-learn means the same by the user's own rows as by ours.

The graph answers rows of float64.  An estimator that is asked in float32, or in whole numbers of
eight bits, computes in them: asked with the same values in float64 it is another function.  Where
that function differs by the rounding of float32 alone, whoever builds is told by how much; where it
differs by more, or in a label, nothing is sealed.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import METHODS
from numpy.typing import NDArray

from edge_pipeline.conversion.convert import OnnxModel, dense
from edge_pipeline.data.sample import Sample, is_narrow, take_sample
from edge_pipeline.errors import ConversionError
from edge_pipeline.verification.ambiguous_rows import determined_rows
from edge_pipeline.verification.verify import unverified_manifest

__all__ = [
    "MAX_ROWS",
    "in_float64",
    "is_single",
    "refuse_other_arithmetic",
    "refuses_float64",
]

MAX_ROWS = 2000
"""Rows of the user's own X that are asked: as many as of the sample when the graph is verified."""

ROUNDED_AWAY = 1e-4
"""Largest difference of numbers, relative to the largest, that is taken for the rounding of
float32: it keeps seven digits, and of a sum that cancels three may go (scaled columns, squared
distances, logarithms of densities: up to 2e-6 on ordinary tables)."""

_SEED = 20


def refuses_float64(estimator: Any, X: Any, sample: Sample) -> bool:
    """Whether it learnt from float32 and is asked in nothing else, as KMeans and NMF are."""
    if not is_single(sample):
        return False
    ours = sample.as_trained(sample.table.head(2))
    return any(
        _answer(estimator, method, ours) is None and _answer(estimator, method, X[:2]) is not None
        for method in METHODS
        if hasattr(estimator, method)
    )


def in_float64(estimator: Any) -> Any:
    """A copy of *estimator* that holds in float64 the numbers that it learnt in float32."""
    return _widened(copy.deepcopy(estimator))


def refuse_other_arithmetic(
    estimator: Any,
    oracle: Any,
    X: Any,
    sample: Sample,
    model: OnnxModel,
    tolerance: float,
) -> tuple[str, ...]:
    """Ask *estimator* with *X* as it was given, and *oracle* as the device's rows mean it.

    Nothing is asked where both are of the same container and dtypes.

    Parameters
    ----------
    oracle
        *estimator*, or what :func:`in_float64` made of it.
    model
        Tells which methods to ask, and which rows scikit-learn's answer does not determine.

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
    table = sample.table.head(MAX_ROWS)
    ours = sample.as_trained(table)
    if _same_kind(X, ours):
        return ()
    asked = [(X[:MAX_ROWS], ours, table)]
    if isinstance(X, np.ndarray | pd.DataFrame) and X.ndim == 2:
        # A label flips where a rounded value meets a threshold: rare, so more rows are made.
        mixed = _recombined(X)
        table = take_sample(mixed, estimator).table
        asked.append((mixed, sample.as_trained(table), table))
    allowed = max(tolerance, ROUNDED_AWAY) if is_single(sample) else tolerance
    tables = [table for _, _, table in asked]
    kept = determined_rows(model, sample, unverified_manifest(model, tolerance), tables)
    worst = 0.0
    for method in dict.fromkeys(output.method for output in model.outputs):
        for (given, rows, _), counts in zip(asked, kept, strict=True):
            expected = _answer(estimator, method, given)
            found = _answer(oracle, method, rows)
            for e, f in zip(expected or [], found or [], strict=False):
                gap = _gap(e[counts], f[counts]) if len(e) == len(f) == len(counts) else np.inf
                worst = max(worst, gap)
                if not gap <= allowed:
                    raise ConversionError(_told(estimator, method, X))
    if not worst > tolerance:
        return ()
    return (
        "X is of float32, in which scikit-learn itself rounds its answers, by up to "
        f"{worst:.1g} of the largest; the file answers as it does for the same values in float64",
    )


def is_single(sample: Sample) -> bool:
    """Whether a column of the user's X is of float32, or narrower."""
    return any(map(is_narrow, sample.dtypes))


def _answer(estimator: Any, method: str, X: Any) -> list[NDArray[Any]] | None:
    """What *method* answers, as dense arrays; None where it refuses *X*."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            answer = getattr(estimator, method)(X)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return None
    return [dense(item) for item in answer] if isinstance(answer, list) else [dense(answer)]


def _widened(part: Any) -> Any:
    """*part* with its arrays of float32 in float64, and so what scikit-learn keeps within."""
    if isinstance(part, np.ndarray):
        return part.astype(np.float64) if part.dtype == np.float32 else part
    if type(part) in (list, tuple):
        return type(part)(map(_widened, part))
    if type(part).__module__.startswith("sklearn.") and hasattr(part, "__dict__"):
        for name, value in list(vars(part).items()):
            if name != "classes_":  # labels are no measurements
                setattr(part, name, _widened(value))
    return part


def _told(estimator: Any, method: str, X: Any) -> str:
    return (
        f"{type(estimator).__name__}.{method} answers differently for X as it is ({_kind_of(X)}) "
        "and for the same values in float64, which the device computes in; train and ask it in "
        "float64, e.g. fit(X.astype(float), y), or name a wider tolerance if only numbers differ"
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
