"""Convert SimpleImputer and MissingIndicator: replace missing values, or mark them."""

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
    """SimpleImputer.transform: each missing value becomes the column's statistic.

    Columns without a statistic are dropped, unless ``keep_empty_features``.
    """
    frame = frame_of(X)
    statistics: Any = _fill_values(imputer)
    columns = np.arange(frame.width)
    if not imputer.keep_empty_features:
        columns = columns[~np.array([_is_nan(value) for value in statistics])]
    # Where None is a category and the marker is NaN, None is imputed by itself.
    matches = np.array(context.marker_matches(imputer.missing_values, frame), dtype=np.bool_)
    if not matches.all():
        statistics = np.where(matches, statistics, None)
    parts: list[Tensor | Frame] = []
    start = 0
    for run in frame.select(columns).runs() if len(columns) else []:
        fills = statistics[columns[start : start + run.width]]
        if not run.is_string and any(isinstance(fill, str) for fill in fills):
            # In a column of numbers without missing values, the fill value is never used.
            if not pd.isna(imputer.missing_values) or run.graph.may_hold_nan(run):
                raise context.refuse(
                    f"fill_value={imputer.fill_value!r} is text and a column holds numbers with "
                    "missing values; give each kind of column an imputer of its own"
                )
            fills = np.array([np.nan if isinstance(fill, str) else fill for fill in fills])
        parts.append(_imputed(imputer, run, fills))
        start += run.width
    output = with_indicator(context, imputer, frame, parts)
    fills = [
        np.nan if isinstance(fill, str) and not tensor.is_string else fill
        for fill, (tensor, _) in zip(
            statistics[columns], frame.select(columns).columns, strict=True
        )
    ]
    context.record_imputation(output, frame.select(columns), imputer.missing_values, fills)
    return output


def _fill_values(imputer: Any) -> NDArray[Any]:
    """Return the statistics in the dtype of the training rows, as transform writes them.

    It truncates the median of whole numbers, and rounds the mean of float32 columns to float32.
    """
    statistics: NDArray[Any] = imputer.statistics_.copy()
    if np.dtype(imputer._fill_dtype).kind in "iuf":
        is_number = np.array([not _is_nan(value) for value in statistics], dtype=np.bool_)
        statistics[is_number] = statistics[is_number].astype(imputer._fill_dtype)
    return statistics


def _imputed(imputer: Any, X: Tensor, fills: NDArray[Any]) -> Tensor:
    missing = is_missing(X, imputer.missing_values)
    if X.is_string:
        return ops.where(missing, np.array([_text(fill) for fill in fills], dtype=object), X)
    return ops.where(missing, fills.astype(np.float64), X)


def with_indicator(
    context: Context, imputer: Any, X: Frame, parts: list[Tensor | Frame]
) -> Tensor | Frame:
    """Join *parts*, and with ``add_indicator`` the marks of the values that were missing in *X*."""
    if imputer.add_indicator:
        marks = _marks(context, imputer.indicator_, X)
        parts = [*parts, *(mark.astype(np.float64) for mark in marks)]
    return join(parts)


def _marks(context: Context, indicator: Any, X: Frame) -> list[Tensor]:
    """Mark the missing values in the columns that had some in training."""
    if not len(indicator.features_):
        return []
    frame = X.select(indicator.features_)
    matches = np.array(context.marker_matches(indicator.missing_values, frame), dtype=np.bool_)
    marks: list[Tensor] = []
    start = 0
    for run in frame.runs():
        mark = is_missing(run, indicator.missing_values)
        in_run = matches[start : start + run.width]
        marks.append(mark if in_run.all() else mark & in_run)
        start += run.width
    return marks


@on_frame
def _indicator(context: Context, indicator: Any, X: Tensor | Frame) -> Tensor:
    """MissingIndicator.transform: whether each value is missing."""
    frame = frame_of(X)
    if not len(indicator.features_):
        return ops.full_rows(frame.runs()[0], np.zeros(0, dtype=np.bool_))
    return ops.concatenate(_marks(context, indicator, frame), 1)


def is_missing(X: Tensor, marker: Any) -> Tensor:
    """Return where *X* has *marker*, which marks a missing value (``_get_mask``)."""
    if X.is_string:
        return comparison("Equal", X, _text(marker))
    return ops.isnan(X) if pd.isna(marker) else comparison("Equal", X, float(marker))


def _text(value: Any) -> str:
    return MISSING_STRING if pd.isna(value) else str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


CONVERTERS: dict[type, Methods] = {
    SimpleImputer: {"transform": _simple},
    MissingIndicator: {"transform": _indicator},
}
