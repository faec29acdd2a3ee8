"""Run the methods of a fitted estimator: predict, predict_proba, transform and the others."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import METHODS
from numpy.typing import NDArray

from edge_pipeline.conversion.log_probabilities import has_own_formula
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import ConversionError

__all__ = ["dense", "dtype_name", "methods_of", "predict_first_rows", "run_method"]


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
        if hasattr(estimator, method)
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
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        output = getattr(estimator, method)(X)
    return [dense(item) for item in output] if isinstance(output, list) else dense(output)


def dense(matrix: Any) -> NDArray[Any]:
    """Convert a sparse matrix, or anything like an array, to one dense array."""
    if hasattr(matrix, "toarray"):
        matrix = matrix.toarray()
    return np.asarray(matrix)


def predict_first_rows(estimator: Any, sample: Sample) -> dict[str, Any]:
    """Run every method on two rows: the outputs show shape, dtype and whether it is a list.

    A method that fails while others work is one that the estimator has by name alone: transform of
    LinearDiscriminantAnalysis(solver="lsqr"), or predict_proba of
    GaussianProcessClassifier(multi_class="one_vs_one").
    """
    rows = sample.as_trained(sample.table.head(2))
    outputs: dict[str, Any] = {}
    errors: dict[str, Exception] = {}
    for method in methods_of(estimator):
        try:
            outputs[method] = run_method(estimator, method, rows)
        except Exception as error:
            errors[method] = error
    if not outputs:
        method, cause = next(iter(errors.items()))
        raise ConversionError(
            f"{type(estimator).__name__}.{method} refuses the first rows of the sample X: {cause}; "
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
