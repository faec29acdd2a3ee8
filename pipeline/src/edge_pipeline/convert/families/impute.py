"""Imputers: a missing value becomes what training decided."""

from __future__ import annotations

from typing import Any

import numpy as np
from edge_runtime.schema import MISSING_STRING
from sklearn.impute import SimpleImputer

from edge_pipeline.convert import ops
from edge_pipeline.convert.context import Context, Methods, on_frame
from edge_pipeline.convert.frame import Frame, frame_of, join
from edge_pipeline.convert.tensor import Tensor

__all__ = ["CONVERTERS"]


@on_frame
def _simple(context: Context, imputer: Any, X: Tensor | Frame) -> Tensor | Frame:
    """Where missing, the column's statistic; columns without one leave, indicators are appended."""
    frame = frame_of(X)
    statistics = imputer.statistics_
    kept = [i for i in range(frame.width) if imputer.keep_empty_features or not _is_missing_value(statistics[i])]
    if imputer.strategy == "constant":
        kept = list(range(frame.width))
    parts: list[Tensor | Frame] = []
    if kept:
        runs = frame.select(kept).runs()
        start = 0
        for run in runs:
            fills = statistics[kept[start : start + run.width]]
            parts.append(_filled(context, imputer, run, fills))
            start += run.width
    if imputer.add_indicator:
        chosen = frame.select(imputer.indicator_.features_)
        if chosen.width:
            parts += [_missing(context, imputer, run).astype(np.float64) for run in chosen.runs()]
    return join(parts)


def _filled(context: Context, imputer: Any, X: Tensor, fills: Any) -> Tensor:
    if X.is_string:
        fills = np.array([MISSING_STRING if _is_missing_value(f) else str(f) for f in fills], dtype=object)
    else:
        fills = np.array(fills, dtype=np.float64)
    return ops.where(_missing(context, imputer, X), fills, X)


def _missing(context: Context, imputer: Any, X: Tensor) -> Tensor:
    mark = imputer.missing_values
    if X.is_string:
        return X == (MISSING_STRING if _is_missing_value(mark) else str(mark))
    if _is_missing_value(mark):
        return ops.isnan(X)
    return X == float(mark)


def _is_missing_value(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and np.isnan(value)) or str(value) == "<NA>"


CONVERTERS: dict[type, Methods] = {SimpleImputer: {"transform": _simple}}
