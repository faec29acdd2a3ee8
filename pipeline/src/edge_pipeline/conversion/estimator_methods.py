"""Run the methods of a fitted estimator: predict, predict_proba, transform and the others."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import METHODS
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import Pipeline

from edge_pipeline.conversion.log_probabilities import has_own_formula
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import ConversionError

__all__ = [
    "OPTIONAL_METHODS",
    "dense",
    "dtype_name",
    "has_method",
    "last_step",
    "methods_of",
    "predict_first_rows",
    "run_kneighbors",
    "run_method",
]

OPTIONAL_METHODS = ("kneighbors", "predict_std")
"""Methods that are left out, with a note, where the other methods convert and these do not."""


def methods_of(estimator: Any) -> tuple[str, ...]:
    """List the methods of *estimator* that a bundle can serve, in the order of :data:`METHODS`.

    Raises
    ------
    ConversionError
        It has none.
    """
    if isinstance(estimator, type):
        raise ConversionError(
            f"{estimator.__name__} is a class; expected a fitted estimator, an instance of it"
        )
    methods = tuple(
        method
        for method in METHODS
        if has_method(estimator, method)
        and (method != "predict_log_proba" or has_own_formula(estimator))
    )
    if not methods:
        raise ConversionError(
            f"{type(estimator).__name__} has none of {', '.join(METHODS)}: it cannot predict new "
            "rows; expected a fitted estimator"
        )
    return methods


def run_method(estimator: Any, method: str, X: Any) -> Any:
    """Run ``estimator.method(X)`` without warnings; return a dense array, or a list of them."""
    with _without_warnings():
        output = _call(estimator, method, X)
    return [dense(item) for item in output] if isinstance(output, list) else dense(output)


def run_kneighbors(estimator: Any, X: Any, count: int | None) -> list[NDArray[Any]]:
    """Return distances and positions of *count* neighbours, also at the end of a Pipeline."""
    with _without_warnings():
        while isinstance(estimator, Pipeline):
            for _, step in estimator.steps[:-1]:
                # imbalanced-learn's samplers change training rows alone, and have no transform.
                if hasattr(step, "transform"):
                    X = step.transform(X)
            estimator = estimator.steps[-1][1]
        return list(estimator.kneighbors(X, n_neighbors=count))


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def has_method(estimator: Any, method: str) -> bool:
    """Whether *estimator* has *method*, one of :data:`METHODS`.

    A Pipeline has the ``kneighbors`` of its last step, and ``predict_std`` is
    ``predict(X, return_std=True)``.
    """
    if method not in OPTIONAL_METHODS:
        return hasattr(estimator, method)
    last = last_step(estimator)
    if method == "kneighbors":
        # Without novelty it scores its training rows alone.
        is_for_training_rows = isinstance(last, LocalOutlierFactor) and not last.novelty
        return hasattr(last, method) and not is_for_training_rows
    try:
        return "return_std" in inspect.signature(last.predict).parameters
    except (AttributeError, TypeError, ValueError):
        return False


def last_step(estimator: Any) -> Any:
    """Return the last step of a Pipeline, also of one inside another; else *estimator*."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def _call(estimator: Any, method: str, X: Any) -> Any:
    if method == "predict_std":
        return estimator.predict(X, return_std=True)[1]
    if method != "kneighbors":
        return getattr(estimator, method)(X)
    return run_kneighbors(estimator, X, None)


def dense(matrix: Any) -> NDArray[Any]:
    """Convert a sparse matrix, or anything like an array, to one dense array."""
    if hasattr(matrix, "toarray"):
        matrix = matrix.toarray()
    return np.asarray(matrix)


def predict_first_rows(
    estimator: Any, sample: Sample, without: Collection[str] = ()
) -> dict[str, Any]:
    """Run every method on two rows: the outputs show shape, dtype and whether it is a list.

    A method that fails while others work is one that the estimator has by name alone: transform of
    LinearDiscriminantAnalysis(solver="lsqr"), or predict_proba of
    GaussianProcessClassifier(multi_class="one_vs_one").  The methods *without* are left out.
    """
    rows = sample.as_trained(sample.table.head(2))
    outputs: dict[str, Any] = {}
    errors: dict[str, Exception] = {}
    for method in methods_of(estimator):
        if method in without:
            continue
        try:
            outputs[method] = run_method(estimator, method, rows)
        except Exception as error:
            errors[method] = error
    if not outputs:
        method, cause = next(iter(errors.items()))
        reason, name = str(cause).rstrip(" .\n"), type(estimator).__name__
        raise ConversionError(
            f"{name}.{method} refuses the first rows of the sample X: {reason}; "
            "is it fitted, and is X of the kind that it was trained on?"
        ) from cause
    return outputs


def dtype_name(output: NDArray[Any]) -> str:
    """Return the dtype of *output* as the manifest spells it.

    Raises
    ------
    ConversionError
        It is bytes, or another dtype that no graph output can have.
    """
    if output.dtype.kind not in "biufUO":
        raise ConversionError(
            f"its output has dtype {output.dtype}, which is neither numbers nor text; train with "
            "labels of str or int"
        )
    return output.dtype.str if output.dtype.kind == "U" else output.dtype.name
