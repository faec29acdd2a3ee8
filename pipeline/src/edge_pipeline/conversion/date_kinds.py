"""Describe which columns of a graph hold dates, and how pandas holds them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import NUMBERS

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.graph.calendar import Calendar, floor_divide, whole_microseconds
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.graph.zones import zone_offset
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import UnsupportedEstimatorError

__all__ = [
    "DateKind", "Unit", "dates_of_sample", "fault_of_dates", "finer", "in_unit", "kind_of_dtype",
    "local_calendar", "refuse_dates",
]  # fmt: skip

Unit = Literal["s", "ms", "us", "ns"]

_UNITS: tuple[Unit, ...] = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class DateKind:
    """How pandas holds a column of dates.

    Attributes
    ----------
    unit
        The unit of its whole numbers, which decides how a quotient is rounded.
    zone
        The time zone; None for local times.
    """

    unit: Unit = "us"
    zone: tzinfo | None = None


def kind_of_dtype(dtype: Any) -> DateKind:
    """Return the kind of a pandas or numpy dtype of dates; of Python's own dates for object."""
    plain = getattr(dtype, "pyarrow_dtype", dtype)
    if getattr(plain, "hasobject", False):
        return DateKind()
    zone = getattr(plain, "tz", None)
    unit = getattr(plain, "unit", None) or np.datetime_data(plain)[0]
    return DateKind(
        unit if unit in _UNITS else "s",
        pd.Timestamp(0, tz=zone).tz if isinstance(zone, str) else zone,
    )


def dates_of_sample(sample: Sample) -> dict[tuple[str, int], DateKind]:
    """Return the columns of the graph's input that hold dates, as tensor name and position."""
    schema = sample.schema
    return {
        (NUMBERS, i): kind_of_dtype(sample.dtypes[position])
        for i, position in enumerate(schema.numeric)
        if schema.columns[position].type == "datetime"
    }


def fault_of_dates(X: Tensor | Frame, dates: Collection[tuple[str, int]]) -> str:
    """Say why *X* is no matrix of numbers if it holds dates; else an empty text."""
    if not dates:
        return ""
    if isinstance(X, Frame):
        has_dates = any((tensor.name, i) in dates for tensor, i in X.columns)
    else:
        has_dates = any(name == X.name for name, _ in dates)
    if not has_dates:
        return ""
    return (
        "it takes numbers, and a column holds dates; put a step before it that takes parts of the "
        "date (skrub's DatetimeEncoder, or a function of .dt)"
    )


def refuse_dates(output: Tensor | Frame, dates: Collection[tuple[str, int]]) -> None:
    """Raise UnsupportedEstimatorError if *output* of the whole estimator holds dates."""
    if fault_of_dates(output, dates):
        raise UnsupportedEstimatorError(
            "transform returns dates; end with a step that takes parts of them, or add a predictor"
        )


def finer(*units: str) -> Unit:
    """Return the finest of several units."""
    return _UNITS[max(map(_UNITS.index, units))]


def in_unit(microseconds: Tensor, unit: Unit) -> Tensor:
    """Convert int64 microseconds to whole numbers of *unit*, rounded down."""
    if unit == "ns":
        return microseconds * 1000
    step = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    return microseconds if step == 1 else floor_divide(microseconds, step)


def local_calendar(times: Tensor, kind: DateKind) -> Calendar:
    """Return the calendar of a vector of times, in their own zone."""
    whole = whole_microseconds(times)
    return Calendar(whole if kind.zone is None else whole + zone_offset(whole, kind.zone))
