"""Whether a difference far outside training is noise: scikit-learn's own answer moves as much.

Far outside, sums lose their digits, and two libraries that add in another order lose others.  Then
a last bit of the row moves scikit-learn's answer as well.  A graph that takes another way, at a
limit or a branch, differs where scikit-learn's answer stands still.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import Schema
from numpy.typing import NDArray

from edge_pipeline.conversion.convert import dense
from edge_pipeline.data.sample import Sample

__all__ = ["is_noise", "magnitude"]

STIRRED = 8
"""Times that a row is asked with the last bits of its numbers moved."""

ROOM = 16.0
"""A difference may be so many times the largest movement seen: of few tries none is the worst."""

TIED = 1e-12
"""Two scores of a row are one where they are so close, relative to the largest of all rows."""

_SEED = 20


def is_noise(
    estimator: Any,
    sample: Sample,
    output: Output,
    table: pd.DataFrame,
    expected: NDArray[Any],
    found: NDArray[Any],
    allowed: float,
) -> bool:
    """Whether scikit-learn's answers to the rows beside *table* differ as *found* does.

    Parameters
    ----------
    table
        Rows, in the columns of the sample.
    expected, found
        scikit-learn's and the graph's answers to them.
    allowed
        Difference of two numbers that needs no explanation.
    """
    if expected.shape != found.shape or expected.dtype.kind != found.dtype.kind:
        return False
    rng = np.random.default_rng(_SEED)
    tables = [_stirred(sample.schema, table, rng) for _ in range(STIRRED)]
    told = [_asked(estimator, sample, output, each) for each in tables]
    answers = [each for each in told if each is not None and each.shape == expected.shape]
    if len(answers) < len(told):
        return False
    if expected.dtype.kind != "f":
        moves = np.logical_or.reduce([answer != expected for answer in answers])
        explained = moves | (found == expected)
        return bool((explained | _tied(estimator, sample, table, expected, found)).all())
    apart, room = _apart(found, expected), np.zeros(expected.shape)
    for answer in answers:
        room = np.maximum(room, _apart(answer, expected))
    return bool(((apart <= allowed) | (apart <= ROOM * room)).all())


def _tied(
    estimator: Any, sample: Sample, table: pd.DataFrame, expected: NDArray[Any], found: NDArray[Any]
) -> NDArray[np.bool_]:
    """Where scikit-learn's own scores of the two labels are as good as equal.

    Far outside, scores run into their limits, and stand still there.
    """
    nowhere = np.zeros(expected.shape, dtype=np.bool_)
    classes = getattr(estimator, "classes_", None)
    if expected.ndim != 1 or not isinstance(classes, np.ndarray) or classes.ndim != 1:
        return nowhere
    for method in ("decision_function", "predict_proba"):
        output = Output(method, method, "float64", None)
        scores = _asked(estimator, sample, output, table) if hasattr(estimator, method) else None
        if scores is None or scores.dtype.kind != "f":
            continue
        if scores.ndim == 1 and len(classes) == 2:
            scores = np.stack([np.zeros(len(scores)), scores], axis=1)
        if scores.shape != (len(expected), len(classes)) or not set(found) <= set(classes):
            continue
        rows = np.arange(len(expected))
        place = {label: i for i, label in enumerate(classes.tolist())}
        pair = [
            scores[rows, [place[label] for label in each.tolist()]] for each in (expected, found)
        ]
        nowhere |= _apart(*pair) <= TIED * np.maximum(magnitude(scores), 1e-300)
    return nowhere


def _asked(
    estimator: Any, sample: Sample, output: Output, table: pd.DataFrame
) -> NDArray[Any] | None:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            answer = getattr(estimator, output.method)(sample.as_trained(table))
    except (ValueError, TypeError, ArithmeticError):
        return None
    return dense(answer if output.item is None else answer[output.item])


def _stirred(schema: Schema, table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every number that is no whole one of a whole column, moved up or down by its last bit."""
    table = table.copy()
    for column in schema.columns:
        if column.type == "float64" and not column.closed:
            cells = table[column.name].to_numpy(dtype=np.float64)
            ends = rng.choice([-np.inf, np.inf], size=len(cells))
            table[column.name] = np.nextafter(cells, ends)
    return table


def magnitude(answer: NDArray[Any]) -> float:
    """The largest magnitude of *answer* that is a number; 0 of labels."""
    if answer.dtype.kind != "f":
        return 0.0
    return float(np.abs(answer[np.isfinite(answer)]).max(initial=0.0))


def _apart(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Difference; infinite where one is no number and the other is another."""
    with np.errstate(all="ignore"):
        gap = np.abs(x - y)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    return np.where(same, 0.0, np.where(np.isfinite(gap), gap, np.inf))
