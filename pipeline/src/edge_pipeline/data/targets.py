"""Check the target's values, and convert them to the type that the task needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pipeline.data.recipe import Recipe

__all__ = ["check_target"]


def check_target(recipe: Recipe, y: NDArray[Any]) -> NDArray[Any]:
    """Convert *y* to numbers for regression, or to labels for classification.

    Raises
    ------
    RecipeError
        The target's values do not fit the task.
    """
    is_text = y.dtype.kind in "OUS" and not _all_numbers(y)
    if recipe.task == "regression":
        if is_text:
            word = next(value for value in y.flat if isinstance(value, str))
            raise recipe.error(
                "data.target",
                f"task 'regression' needs numbers, the target holds {word!r}; "
                'did you mean task = "classification"?',
            )
        return y.astype(np.float64) if y.dtype.kind == "O" else y
    if recipe.task == "classification" and y.ndim > 1:
        return _multilabel_target(recipe, y)
    if recipe.task == "classification" and y.dtype.kind == "f":
        whole = y.astype(np.int64)
        if not np.array_equal(whole, y):
            raise recipe.error(
                "data.target",
                f"task 'classification' needs labels, the target holds {y[whole != y].flat[0]!r}; "
                'did you mean task = "regression"?',
            )
        # Integers became floats because of missing values, and those rows are dropped by now.
        return whole
    return y


def _all_numbers(y: NDArray[Any]) -> bool:
    return y.dtype.kind == "O" and all(
        isinstance(value, bool | int | float | np.number | np.bool_) for value in y.flat
    )


def _multilabel_target(recipe: Recipe, y: NDArray[Any]) -> NDArray[Any]:
    """Convert several targets to a multilabel indicator of 0 and 1."""
    if y.shape[1] == 1:
        return y[:, 0]
    values = y.astype(np.float64) if _all_numbers(y) or y.dtype.kind in "biuf" else None
    if values is None or not np.isin(values, (0, 1)).all():
        wrong = next(value for value in y.flat if value not in (0, 1))
        raise recipe.error(
            "data.target",
            f"several targets are labels that a row has or not: 0 and 1, or true and false; "
            f"found {wrong!r}; build a model for each target that has more classes",
        )
    return values.astype(np.int64)
