"""Imputers: a missing value becomes what training decided, or a mark that it was missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import MISSING_STRING
from numpy.typing import NDArray
from sklearn.impute import MissingIndicator, SimpleImputer

from edge_pipeline.conversion.column_frame import Frame, frame_of, join
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor, comparison

__all__ = ["CONVERTERS", "is_missing", "with_indicator"]


@on_frame
def _simple(context: Context, imputer: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Where missing, the column's statistic; columns without one leave."""
    frame = frame_of(X)
    statistics = imputer.statistics_
    kept = np.arange(frame.width)
    if not imputer.keep_empty_features:
        kept = kept[~np.array([_is_nan(value) for value in statistics])]
    # To a mark of NaN, None is a word, which stays: filled with itself.
    seen = np.array(context.marker_matches(imputer.missing_values, frame), dtype=np.bool_)
    statistics = np.where(seen, statistics, None) if not seen.all() else statistics
    parts: list[Tensor | Frame] = []
    start = 0
    for run in frame.select(kept).runs() if len(kept) else []:
        fills = statistics[kept[start : start + run.width]]
        if not run.is_string and any(isinstance(fill, str) for fill in fills):
            # Of a column of numbers without gaps, the fill is never used.
            if not pd.isna(imputer.missing_values) or run.graph.may_hold_nan(run):
                raise context.refuse(
                    f"fill_value={imputer.fill_value!r} is text and a column holds numbers with "
                    "gaps; give each kind of column an imputer of its own"
                )
            fills = np.array([np.nan if isinstance(fill, str) else fill for fill in fills])
        parts.append(_filled(imputer, run, fills))
        start += run.width
    answer = with_indicator(context, imputer, frame, parts)
    fills = [
        np.nan if isinstance(fill, str) and not tensor.is_string else fill
        for fill, (tensor, _) in zip(statistics[kept], frame.select(kept).columns, strict=True)
    ]
    context.record_imputation(answer, frame.select(kept), imputer.missing_values, fills)
    return answer


def _filled(imputer: Any, X: Tensor, fills: NDArray[Any]) -> Tensor:
    missing = is_missing(X, imputer.missing_values)
    if X.is_string:
        return ops.where(missing, np.array([_text(fill) for fill in fills], dtype=object), X)
    if imputer._fill_dtype.kind in "iu":
        # The median of whole numbers in a whole column is cut to a whole number.
        fills = fills.astype(imputer._fill_dtype)
    return ops.where(missing, fills.astype(np.float64), X)


def with_indicator(
    context: Context, imputer: Any, X: Frame, parts: list[Tensor | Frame]
) -> Tensor | Frame:
    """*parts*, and with ``add_indicator`` the marks of what was missing in *X*."""
    if imputer.add_indicator:
        marks = _marks(context, imputer.indicator_, X)
        parts = [*parts, *(mark.astype(np.float64) for mark in marks)]
    return join(parts)


def _marks(context: Context, indicator: Any, X: Frame) -> list[Tensor]:
    """Whether a value is missing, in the columns that had gaps in training."""
    if not len(indicator.features_):
        return []
    frame = X.select(indicator.features_)
    seen = np.array(context.marker_matches(indicator.missing_values, frame), dtype=np.bool_)
    marks: list[Tensor] = []
    start = 0
    for run in frame.runs():
        mark, sees = is_missing(run, indicator.missing_values), seen[start : start + run.width]
        marks.append(mark if sees.all() else mark & sees)
        start += run.width
    return marks


@on_frame
def _indicator(context: Context, indicator: Any, X: Tensor | Frame) -> Tensor:
    """MissingIndicator: whether each value is missing."""
    frame = frame_of(X)
    if not len(indicator.features_):
        return ops.full_rows(frame.runs()[0], np.zeros(0, dtype=np.bool_))
    return ops.concatenate(_marks(context, indicator, frame), 1)


def is_missing(X: Tensor, mark: Any) -> Tensor:
    """``_get_mask(X, mark)``: where the values are *mark*, which stands for a missing one."""
    if X.is_string:
        return comparison("Equal", X, _text(mark))
    return ops.isnan(X) if pd.isna(mark) else comparison("Equal", X, float(mark))


def _text(value: Any) -> str:
    return MISSING_STRING if pd.isna(value) else str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


CONVERTERS: dict[type, Methods] = {
    SimpleImputer: {"transform": _simple},
    MissingIndicator: {"transform": _indicator},
}
