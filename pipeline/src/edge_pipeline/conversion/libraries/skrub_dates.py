"""Convert skrub's DatetimeEncoder and ToDatetime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from skrub import DatetimeEncoder, ToDatetime

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.date_kinds import DateKind, kind_of_dtype
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import Tracer
from edge_pipeline.conversion.tracing.dates import TracedDates
from edge_pipeline.conversion.tracing.frame import TracedFrame

__all__ = ["CONVERTERS"]

MOST_POSITIONS = 32
"""Positions in a cycle: months, days of the month, hours, days of the week."""


@on_any_dtype
def _datetime_encoder(context: Context, encoder: DatetimeEncoder, X: Tensor | Frame) -> Tensor:
    """Write the parts of a column of dates as float32, then those in cycles."""
    dates = _dates(context, X)
    if dates is None:
        raise context.refuse("it takes a column of dates; put ToDatetime before it")
    missing = dates.isna().to_tensor()
    plain, cycles = [], []
    for feature in encoder.extracted_features_:
        tensor = _part(dates, feature)
        if feature in encoder._periodic_encoders:
            table = _cycle(encoder._periodic_encoders[feature])
            position = ops.where(missing, 0.0, tensor).astype(np.int64)
            rows = ops.take(table, position)
            cycles.append(ops.where(ops.expand_dims(missing, 1), np.nan, rows))
        else:
            plain.append(ops.expand_dims(tensor.astype(np.float32).astype(np.float64), 1))
    return ops.concatenate([*plain, *cycles], 1)


def _part(dates: TracedDates, feature: str) -> Tensor:
    """Return a part as ``_get_dt_feature`` of skrub 0.11 does."""
    if feature == "total_seconds":
        epoch = pd.Timestamp("1970-01-01", tz=None if dates.dt.tz is None else "UTC")
        part = (dates - epoch) / pd.Timedelta("1s")
    elif feature == "weekday":
        part = dates.dt.day_of_week + 1
    else:
        part = getattr(dates.dt, feature)
    tensor: Tensor = part.to_tensor()
    return tensor


def _cycle(encoder: Any) -> Any:
    """Return the rows that a fitted periodic encoder gives for each whole number."""
    return encoder.transform(pd.Series(np.arange(MOST_POSITIONS))).to_numpy(dtype=np.float64)


@on_any_dtype
def _to_datetime(context: Context, step: ToDatetime, X: Tensor | Frame) -> Tensor | Frame:
    """Return dates unchanged."""
    dates = _dates(context, X)
    if dates is None:
        raise context.refuse(
            f"it reads dates from text, by the format {step.format_!r}; make the column "
            "datetime64 before training, by pd.to_datetime; the device then takes texts"
        )
    kind = kind_of_dtype(step.output_dtype_)
    if str(dates.kind.zone) != str(kind.zone):
        raise context.refuse("it was fitted on dates of another time zone than the sample's")
    if kind == dates.kind:
        return X
    tensor = ops.expand_dims(dates.dt.as_unit(kind.unit).to_tensor(), 1)
    context.dates[tensor.name, 0] = DateKind(kind.unit, dates.kind.zone)
    return tensor


def _dates(context: Context, X: Tensor | Frame) -> TracedDates | None:
    frame = frame_of(X)
    tensor, position = frame.columns[0]
    if (tensor.name, position) not in context.dates:
        return None
    tracer = Tracer(tensor, context.vector, TracedFrame.of, context.dates)
    series: TracedDates = TracedFrame(tracer, ["date"], frame)["date"]
    return series


CONVERTERS: dict[type, Methods] = {
    DatetimeEncoder: {"transform": _datetime_encoder},
    ToDatetime: {"transform": _to_datetime},
}
