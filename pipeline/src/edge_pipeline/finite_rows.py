"""Select the rows of a sample that can be compared: the device refuses infinite numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from edge_runtime.bundle.schema import InputLimits

from edge_pipeline.conversion.convert import sample_for
from edge_pipeline.data.input_limits import check_sample_within_limits
from edge_pipeline.data.sample import Sample, rows_with_infinity
from edge_pipeline.data.tensors import check_same_shape
from edge_pipeline.errors import ConversionError

__all__ = ["unseen_table", "without_infinity"]


def unseen_table(
    sample: Sample, X_test: Any, estimator: Any, limits_by_column: Mapping[str, InputLimits]
) -> pd.DataFrame | None:
    """Return the finite rows of *X_test* as a table; None where there are none."""
    n_rows = getattr(X_test, "shape", None) or [len(X_test) if hasattr(X_test, "__len__") else 1]
    if X_test is None or not n_rows[0]:
        return None
    is_tensor = sample.schema.kind == "tensor"
    unseen = sample_for(estimator, X_test, as_tensors=is_tensor)
    if is_tensor:
        check_same_shape(sample.schema, unseen.schema)
    if set(unseen.schema.names) != set(sample.schema.names):
        raise ConversionError(
            f"X_test has the columns {list(unseen.schema.names)}, X has "
            f"{list(sample.schema.names)}; pass the same columns"
        )
    check_sample_within_limits(unseen, limits_by_column, X_test, "X_test")
    index = getattr(X_test, "index", None)
    if isinstance(index, pd.Index) and index.dtype.kind in "iu":
        unseen = replace(unseen, table=unseen.table.set_axis(index))  # errors name the user's rows
    table = unseen.table.loc[~rows_with_infinity(unseen), list(sample.schema.names)]
    return table if len(table) else None


def without_infinity(sample: Sample, X: Any) -> tuple[Sample, Any, tuple[str, ...]]:
    """Leave out the rows with infinity, of the sample and of *X*; note how many there are."""
    infinite = rows_with_infinity(sample)
    if not infinite.any():
        return sample, X, ()
    if infinite.all():
        raise ConversionError(
            "every row of X holds an infinite number, and the device refuses infinity; pass rows "
            "without infinite numbers, or replace infinity by a large number before training"
        )
    note = (
        f"{infinite.sum()} of {len(infinite)} rows of X hold an infinite number, and were left "
        "out: the device refuses infinity"
    )
    finite = sample.table[~infinite].reset_index(drop=True)
    rows = X.filter(~infinite) if hasattr(X, "get_columns") else X[~infinite]
    return replace(sample, table=finite), rows, (note,)
