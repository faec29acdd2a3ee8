"""Count how many predictions of two models are correct."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.errors import MeasurementError

__all__ = ["check_target_width", "count_correct", "target_columns"]


def target_columns(rows: Any, target: str | Sequence[str]) -> pd.DataFrame:
    """Select the columns of *rows* that *target* names.

    Raises
    ------
    MeasurementError
        A column is missing, or the rows have no column names.
    """
    names = [target] if isinstance(target, str) else list(target)
    for name in names:
        if not isinstance(rows, pd.DataFrame) or name not in rows.columns:
            raise MeasurementError(f"the rows have no column {name!r}, which the target should be")
    return rows[names]


def check_target_width(n_predicted: int, n_target_columns: int) -> None:
    """Refuse a target that has more or fewer columns than the model predicts.

    Raises
    ------
    MeasurementError
        The numbers differ.
    """
    if n_predicted != n_target_columns:
        raise MeasurementError(
            f"the model predicts {n_predicted} value{'s' * (n_predicted != 1)} a row, but the "
            f"target names {n_target_columns} column{'s' * (n_target_columns != 1)}; name one "
            "column for each value"
        )


def count_correct(
    true: NDArray[Any], before: Sequence[Any], after: Sequence[Any], *, numeric: bool
) -> tuple[int, int]:
    """Count the rows that the first and the second model predict correctly.

    Of numeric predictions, the one that comes closer to the target counts as the correct one.

    Parameters
    ----------
    true
        Target values, shape (n_samples, n_targets).
    before, after
        Predictions of the two models for the same rows.
    numeric
        Whether predictions are numbers, not labels.

    Raises
    ------
    MeasurementError
        The models predict more or fewer values a row than *true* has columns.
    """
    count = len(before)
    if not count:
        return 0, 0
    first, second = (
        np.asarray(values, dtype=object).reshape(count, -1) for values in (before, after)
    )
    check_target_width(first.shape[1], true.shape[1])
    if numeric:
        old, new = (
            np.abs((values - true).astype(np.float64)).sum(axis=1) for values in (first, second)
        )
        closer = int((new < old).sum())
        return count - closer, closer
    # A missing value in a column of whole numbers makes them floats (1.0), and strings may be other
    # objects than the labels; so equal values and equal texts both count.
    first_correct, second_correct = (
        ((values == true) | (values.astype(str) == true.astype(str))).all(axis=1)
        for values in (first, second)
    )
    return int(first_correct.sum()), int(second_correct.sum())
