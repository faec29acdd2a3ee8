"""Decide whether a difference far outside training is only rounding noise.

Far outside training, sums lose digits, and two libraries that add in another order lose other
digits.  There scikit-learn's own prediction also changes when the last bit of the row changes.  A
graph that is really wrong, at a limit or a branch, differs where scikit-learn's prediction is
stable.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import Schema
from numpy.typing import NDArray

from edge_pipeline.verification.oracle import Oracle

__all__ = ["is_noise", "largest_magnitude", "loses_digits"]

REPEATS = 8
"""Predictions of each row with the last bits of its numbers changed."""

SAFETY_FACTOR = 16.0
"""A difference may be so many times the largest change seen: eight repeats rarely show the worst
case."""

TIED = 1e-12
"""Two scores of a row are tied where they are so close, relative to the largest of all rows."""

_SEED = 20


def is_noise(
    oracle: Oracle,
    output: Output,
    table: pd.DataFrame,
    expected: NDArray[Any],
    predictions: NDArray[Any],
    tolerance: float,
) -> bool:
    """Whether scikit-learn's predictions for rows next to *table* differ as much.

    Parameters
    ----------
    table
        Rows, in the columns of the sample.
    expected, predictions
        scikit-learn's and the graph's predictions for them.
    tolerance
        Difference of two numbers that needs no explanation.
    """
    neighbours = _predictions_nearby(oracle, output, table, expected, predictions)
    if not neighbours:
        return False
    if expected.dtype.kind != "f":
        changes = np.logical_or.reduce([values != expected for values in neighbours])
        explained = changes | (predictions == expected)
        return bool((explained | _is_tied(oracle, table, expected, predictions)).all())
    spread = np.max([_distance(values, expected) for values in neighbours], axis=0)
    difference = _distance(predictions, expected)
    return bool(((difference <= tolerance) | (difference <= SAFETY_FACTOR * spread)).all())


def loses_digits(
    oracle: Oracle,
    output: Output,
    table: pd.DataFrame,
    expected: NDArray[Any],
    predictions: NDArray[Any],
) -> bool:
    """Whether the last bit of a number changes some of scikit-learn's predictions as much.

    This explains a difference, and does not excuse it: single rows of *table* may be stable.
    """
    if expected.dtype.kind != "f":
        return False
    neighbours = _predictions_nearby(oracle, output, table, expected, predictions)
    changes = [_distance(values, expected).max(initial=0.0) for values in neighbours]
    difference = _distance(predictions, expected).max(initial=0.0)
    return bool(difference <= SAFETY_FACTOR * max(changes, default=-np.inf))


def _predictions_nearby(
    oracle: Oracle,
    output: Output,
    table: pd.DataFrame,
    expected: NDArray[Any],
    predictions: NDArray[Any],
) -> list[NDArray[Any]]:
    """Return scikit-learn's predictions for rows next to *table*; nothing where shapes differ."""
    if expected.shape != predictions.shape or expected.dtype.kind != predictions.dtype.kind:
        return []
    rng = np.random.default_rng(_SEED)
    neighbours = []
    for _ in range(REPEATS):
        changed = _with_last_bits_changed(oracle.sample.schema, table, rng)
        values = _predict(oracle, output, changed)
        if values is None or values.shape != expected.shape:
            return []
        neighbours.append(values)
    return neighbours


def _is_tied(
    oracle: Oracle, table: pd.DataFrame, expected: NDArray[Any], predictions: NDArray[Any]
) -> NDArray[np.bool_]:
    """Mark the rows in which scikit-learn's scores of the two labels are practically equal.

    Far outside training, scores saturate, and then the last bits of a row change nothing.
    """
    tied = np.zeros(expected.shape, dtype=np.bool_)
    classes = getattr(oracle.estimator, "classes_", None)
    if expected.ndim != 1 or not isinstance(classes, np.ndarray) or classes.ndim != 1:
        return tied
    for method in ("decision_function", "predict_proba"):
        if not hasattr(oracle.estimator, method):
            continue
        scores = _predict(oracle, Output(method, method, "float64", None), table)
        if scores is None or scores.dtype.kind != "f":
            continue
        if scores.ndim == 1 and len(classes) == 2:
            scores = np.stack([np.zeros(len(scores)), scores], axis=1)
        if scores.shape != (len(expected), len(classes)) or not set(predictions) <= set(classes):
            continue
        rows = np.arange(len(expected))
        column_of = {label: i for i, label in enumerate(classes.tolist())}
        pair = [
            scores[rows, [column_of[label] for label in labels.tolist()]]
            for labels in (expected, predictions)
        ]
        tied |= _distance(*pair) <= TIED * np.maximum(largest_magnitude(scores), 1e-300)
    return tied


def _predict(oracle: Oracle, output: Output, table: pd.DataFrame) -> NDArray[Any] | None:
    predictions = oracle.predictions(table, [output])
    return None if predictions is None else predictions[output.name]


def _with_last_bits_changed(
    schema: Schema, table: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Move every number of a float64 column up or down to the next float64."""
    table = table.copy()
    for column in schema.columns:
        if column.type == "float64" and not column.closed:
            cells = table[column.name].to_numpy(dtype=np.float64)
            directions = rng.choice([-np.inf, np.inf], size=len(cells))
            table[column.name] = np.nextafter(cells, directions)
    return table


def largest_magnitude(values: NDArray[Any]) -> float:
    """Return the largest finite magnitude; 0 for labels."""
    if values.dtype.kind != "f":
        return 0.0
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _distance(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``|x - y|``; infinity where one of them is infinite or NaN and the other is not."""
    with np.errstate(all="ignore"):
        difference = np.abs(x - y)
    equal = (x == y) | (np.isnan(x) & np.isnan(y))
    return np.where(equal, 0.0, np.where(np.isfinite(difference), difference, np.inf))
