"""Check that scikit-learn predicts the user's own rows as it predicts the same values in float64.

The graph computes in float64.  An estimator that gets float32, or integers of eight bits, computes
in them: with the same values in float64 it is another function.  Where the two functions differ
only by the rounding of float32, the user gets a note.  Where they differ by more, or in a label,
nothing is sealed.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import METHODS
from numpy.typing import NDArray

from edge_pipeline.conversion.convert import OnnxModel
from edge_pipeline.conversion.estimator_methods import has_method
from edge_pipeline.data.sample import Sample, is_narrow, take_sample
from edge_pipeline.errors import ConversionError
from edge_pipeline.verification.ambiguous_rows import reproducible_rows
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.probes.tensors import MAX_CELLS, rows_within
from edge_pipeline.verification.verify import VerifiedModel

__all__ = [
    "MAX_ROWS",
    "check_input_dtype",
    "has_float32",
    "needs_float32",
    "widened_to_float64",
]

MAX_ROWS = 2000
"""Rows of the user's own X that are predicted: as many as the verification takes of the sample."""

FEW_ROWS = 16
"""Rows of a slow estimator."""

FLOAT32_ROUNDING = 1e-4
"""Largest relative difference of numbers that counts as the rounding of float32: float32 keeps
seven digits, and a sum that cancels may lose three of them (scaled columns, squared distances,
logarithms of densities: up to 2e-6 on ordinary tables)."""

_SEED = 20


def needs_float32(estimator: Any, X: Any, sample: Sample) -> bool:
    """Whether it was fitted on float32 and refuses everything else, as KMeans and NMF do."""
    if not has_float32(sample):
        return False
    oracle = Oracle(estimator, sample)
    rows = sample.as_trained(sample.table.head(2))
    return any(
        oracle.predict_rows(rows, method) is None and oracle.predict_rows(X[:2], method) is not None
        for method in METHODS
        if has_method(estimator, method)
    )


def has_float32(sample: Sample) -> bool:
    """Whether a column of the user's X is of float32, or narrower."""
    return any(map(is_narrow, sample.dtypes))


def widened_to_float64(estimator: Any) -> Any:
    """Copy *estimator*, with its fitted float32 arrays in float64."""
    return _widened(copy.deepcopy(estimator))


def check_input_dtype(
    estimator: Any,
    oracle: Oracle,
    X: Any,
    verified: VerifiedModel,
    tolerance: float,
) -> tuple[str, ...]:
    """Compare *estimator* on *X* in its own dtypes with the oracle on the same values in float64.

    There is nothing to compare where both have the same container and dtypes.

    Parameters
    ----------
    estimator
        As the user fitted it.
    oracle
        The estimator, or the one that :func:`widened_to_float64` returned.
    verified
        Names the methods to compare, and marks the ambiguous rows.  Where its rows were left out
        because the estimator is slow, few rows are predicted here.

    Returns
    -------
    tuple of str
        A note for the user, where scikit-learn's own rounding to float32 exceeds *tolerance*.

    Raises
    ------
    ConversionError
        The predictions differ: labels at all; numbers by more than *tolerance* of the largest, or
        by more than :data:`FLOAT32_ROUNDING` where columns are of float32.
    """
    sample, model = oracle.sample, verified.model
    n_rows = _rows_to_predict(verified, sample)
    table = sample.table.head(n_rows)
    rows = sample.as_trained(table)
    if _has_same_dtypes(X, rows):
        return ()
    comparisons = [(X[:n_rows], rows, table)]
    if isinstance(X, np.ndarray | pd.DataFrame) and X.ndim == 2:
        # A label flips where a rounded value meets a threshold: rare, so more rows are made.
        mixed = _recombined(X, 2 * n_rows)
        table = take_sample(mixed, estimator, as_tensors=sample.schema.kind == "tensor").table
        comparisons.append((mixed, sample.as_trained(table), table))
    allowed = max(tolerance, FLOAT32_ROUNDING) if has_float32(sample) else tolerance
    tables = [table for _, _, table in comparisons]
    user_oracle = Oracle(estimator, sample)
    worst = 0.0
    for method in dict.fromkeys(output.method for output in model.outputs):
        reproducible = _reproducible_in(model, sample, tables, method)
        for (own_rows, float64_rows, _), mask in zip(comparisons, reproducible, strict=True):
            expected = _to_compare(user_oracle, own_rows, method)
            predictions = _to_compare(oracle, float64_rows, method)
            for pair in zip(expected, predictions, strict=False):
                same_rows = all(len(values) == len(mask) for values in pair)
                difference = _difference(*(v[mask] for v in pair)) if same_rows else np.inf
                worst = max(worst, difference)
                if not difference <= allowed:
                    raise ConversionError(_differs_in_float64(estimator, method, X))
    if not worst > tolerance:
        return ()
    return (
        "X is of float32, in which scikit-learn itself rounds its predictions, by up to "
        f"{worst:.1g} of the largest; the file predicts as it does for the same values in float64",
    )


def _rows_to_predict(verified: VerifiedModel, sample: Sample) -> int:
    """Return how many rows of X are predicted: few of a slow estimator, or of large tensors."""
    n_rows = FEW_ROWS if verified.parity.left_out else MAX_ROWS
    if sample.schema.kind != "tensor":
        return n_rows
    return rows_within(MAX_CELLS // 4, sample.schema.numbers_width, n_rows)


def _reproducible_in(
    model: OnnxModel, sample: Sample, tables: list[pd.DataFrame], method: str
) -> list[NDArray[np.bool_]]:
    """Tell which rows every method, and *method* alone, predict reproducibly."""
    masks = (reproducible_rows(model, sample, tables, name) for name in ("predict", method))
    return [of_all & own for of_all, own in zip(*masks, strict=True)]


def _to_compare(oracle: Oracle, rows: Any, method: str) -> list[NDArray[Any]]:
    """Predict *rows*; of neighbours the distances alone, because rounding may swap two rows."""
    predictions = oracle.predict_rows(rows, method) or []
    return predictions[:1] if method == "kneighbors" else predictions


def _widened(value: Any) -> Any:
    """Convert float32 arrays to float64, in lists, tuples and scikit-learn's objects too."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if value.dtype == np.float32 else value
    if type(value) in (list, tuple):
        return type(value)(map(_widened, value))
    if type(value).__module__.startswith("sklearn.") and hasattr(value, "__dict__"):
        for name, attribute in list(vars(value).items()):
            if name != "classes_":  # labels are no measurements
                setattr(value, name, _widened(attribute))
    return value


def _differs_in_float64(estimator: Any, method: str, X: Any) -> str:
    return (
        f"{type(estimator).__name__}.{method} predicts differently for X as it is "
        f"({_container_and_dtype(X)}) and for the same values in float64, in which the device "
        "computes; train and predict in float64, e.g. fit(X.astype(float), y), or set a wider "
        "tolerance if only numbers differ"
    )


def _recombined(X: Any, n_rows: int) -> Any:
    """Draw every column's values from random rows, in X's own container and dtypes."""
    picks = np.random.default_rng(_SEED).integers(0, X.shape[0], size=(n_rows, X.shape[1]))
    if isinstance(X, np.ndarray):
        return np.take_along_axis(X, picks, axis=0)
    columns = [X.iloc[picks[:, i], i].reset_index(drop=True) for i in range(X.shape[1])]
    return pd.concat(columns, axis=1)


def _has_same_dtypes(X: Any, rows: Any) -> bool:
    if isinstance(X, pd.DataFrame) and isinstance(rows, pd.DataFrame):
        return list(X.dtypes) == list(rows.dtypes)
    if isinstance(X, np.ndarray) and isinstance(rows, np.ndarray):
        return bool(X.dtype == rows.dtype)
    return isinstance(X, list | tuple)


def _container_and_dtype(X: Any) -> str:
    if isinstance(X, pd.DataFrame):
        return "a DataFrame of " + ", ".join(sorted({str(dtype) for dtype in X.dtypes}))
    dtype = getattr(X, "dtype", None)
    return f"a {type(X).__name__}" + (f" of {dtype}" if dtype is not None else "")


def _difference(expected: NDArray[Any], predictions: NDArray[Any]) -> float:
    """Return the largest difference relative to the largest number; infinity if a label differs."""
    if expected.shape != predictions.shape:
        return np.inf
    if expected.dtype.kind not in "f" or predictions.dtype.kind not in "f":
        return 0.0 if (expected == predictions).all() else np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], predictions[~finite], equal_nan=True):
        return np.inf
    scale = float(np.abs(expected[finite]).max(initial=0.0)) or 1.0
    return float(np.abs(expected[finite] - predictions[finite]).max(initial=0.0)) / scale
