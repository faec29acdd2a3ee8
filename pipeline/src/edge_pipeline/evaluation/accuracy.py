"""Rows with their right answers in; how many answers of two models are right out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from edge_pipeline.errors import MeasurementError

__all__ = ["count_correct", "target_columns"]


class _ChangedRow(Protocol):
    """What is asked of a changed row; comparing.py has the class."""

    @property
    def row(self) -> int: ...
    @property
    def before(self) -> Any: ...
    @property
    def after(self) -> Any: ...
    @property
    def difference(self) -> float | None: ...


def target_columns(rows: Any, target: str | Sequence[str]) -> pd.DataFrame:
    """The columns of *rows* that *target* names.

    Raises
    ------
    MeasurementError
        A column is missing, or the rows have no names.
    """
    names = [target] if isinstance(target, str) else list(target)
    for name in names:
        if not isinstance(rows, pd.DataFrame) or name not in rows.columns:
            raise MeasurementError(f"the rows have no column {name!r}, which the target should be")
    return rows[names]


def count_correct(
    table: Any, target: str | Sequence[str], changed: Sequence[_ChangedRow]
) -> tuple[int, int]:
    """How many of the changed rows each file had right; of numbers, which came closer.

    Raises
    ------
    MeasurementError
        A column is missing, or there are more answers than columns, or fewer.
    """
    true = target_columns(table, target).iloc[[row.row - 1 for row in changed]].to_numpy()
    if not changed:
        return 0, 0
    before, after = (
        np.asarray(answers, dtype=object).reshape(len(changed), -1)
        for answers in ([row.before for row in changed], [row.after for row in changed])
    )
    if before.shape != true.shape:
        raise MeasurementError(
            f"the models give {before.shape[1]} answers a row, and {true.shape[1]} columns were "
            "named as the target; name one for each"
        )
    if changed[0].difference is not None:
        old, new = (np.abs((a - true).astype(np.float64)).sum(axis=1) for a in (before, after))
        closer = int((new < old).sum())
        return len(changed) - closer, closer
    # A gap among whole numbers makes them 1.0; words may be other objects than the labels.
    same = [(given == true) | (given.astype(str) == true.astype(str)) for given in (before, after)]
    return int(same[0].all(axis=1).sum()), int(same[1].all(axis=1).sum())
