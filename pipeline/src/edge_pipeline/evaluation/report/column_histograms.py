"""Count the training rows and the test rows in the bins of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Column
from numpy.typing import NDArray

from edge_pipeline.data.sample import take_sample
from edge_pipeline.errors import ConversionError
from edge_pipeline.evaluation.report.measurements import Histogram

__all__ = ["column_histograms", "number_histogram"]

MAX_COLUMNS = 100
BINS = 24
MAX_LABELS = 12
"""Categories with a bar of their own; the others share one."""


def column_histograms(X_train: Any, X_test: Any = None) -> list[Histogram]:
    """Count the rows of each column by value, or by bin of the training rows' range."""
    try:
        sample = take_sample(X_train)
        test = None if X_test is None or not len(X_test) else take_sample(X_test).table
    except ConversionError as error:  # cells that no model reads
        raise ValueError(str(error)) from error
    histograms = []
    is_text = sample.schema.kind == "text"
    for column in sample.schema.columns[:MAX_COLUMNS]:
        train_cells = sample.table[column.name]
        test_cells = None if test is None or column.name not in test else test[column.name]
        histograms.append(_histogram(column, train_cells, test_cells, is_text))
    return histograms


def number_histogram(name: str, train: NDArray[Any], test: NDArray[Any] | None) -> Histogram:
    """Count numbers in bins of equal width; test rows beyond the range count in the last bins."""
    finite = train[np.isfinite(train)]
    test_finite = np.empty(0) if test is None else test[np.isfinite(test)]
    if not len(finite):
        return Histogram(column=name, train=(), missing_train=len(train))
    edges = _edges(finite)
    low, high = edges[0], edges[-1]
    return Histogram(
        column=name,
        edges=tuple(edges.tolist()),
        train=_counts(np.histogram(finite, edges)[0]),
        test=() if test is None else _counts(np.histogram(test_finite.clip(low, high), edges)[0]),
        missing_train=int(np.isnan(train).sum()),
        missing_test=0 if test is None else int(np.isnan(test).sum()),
    )


def _edges(finite: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide the range of *finite* evenly, be it as wide as float64 or a single value."""
    low, high = float(finite.min()), float(finite.max())
    n_edges = min(BINS, len(np.unique(finite))) + 1
    if np.isfinite(high - low):
        edges = np.unique(np.linspace(low, high, n_edges))
    else:
        edges = 2.0 * np.linspace(low / 2.0, high / 2.0, n_edges)
    if len(edges) > 1:
        return np.asarray(edges)
    return np.array([low, np.nextafter(low, np.inf)])


def _histogram(
    column: Column, train: pd.Series[Any], test: pd.Series[Any] | None, is_text: bool
) -> Histogram:
    name = column.name
    if column.type in ("dict", "list"):
        return _count_histogram(name, "entries", train, test, len)
    if column.is_string and (is_text or column.categories is None):
        return _count_histogram(name, "words", train, test, lambda text: len(str(text).split()))
    if column.type == "datetime":
        years = [None if cells is None else _years(cells) for cells in (train, test)]
        histogram = number_histogram(name, np.asarray(years[0]), years[1])
        return histogram.model_copy(update={"of": "years"})
    if column.is_string or column.type == "bool":
        return _label_histogram(name, train, test)
    return number_histogram(name, _numbers(train), None if test is None else _numbers(test))


def _years(microseconds: pd.Series[Any]) -> NDArray[Any]:
    """Return the time as years with a fraction, of 365.25 days from 1970."""
    numbers: NDArray[Any] = microseconds.to_numpy(dtype=np.float64)
    return 1970.0 + numbers / (365.25 * 86_400e6)


def _count_histogram(
    name: str, unit: str, train: pd.Series[Any], test: pd.Series[Any] | None, count: Any
) -> Histogram:
    """Count the words of texts, or the entries of dicts and lists."""
    train_counts, test_counts = (
        None if cells is None else cells.map(count, na_action="ignore").to_numpy(dtype=np.float64)
        for cells in (train, test)
    )
    histogram = number_histogram(name, np.asarray(train_counts), test_counts)
    return histogram.model_copy(update={"of": unit})


def _label_histogram(name: str, train: pd.Series[Any], test: pd.Series[Any] | None) -> Histogram:
    counts = _labels(train).value_counts()
    labels = sorted(counts.index[:MAX_LABELS].tolist())
    test_counts = pd.Series(dtype=int) if test is None else _labels(test).value_counts()

    def bars(values: pd.Series[Any]) -> tuple[int, ...]:
        heights = [int(values.get(label, 0)) for label in labels]
        n_others = int(values.sum()) - sum(heights)
        return (*heights, n_others) if has_more else tuple(heights)

    has_more = len(set(counts.index) | set(test_counts.index)) > len(labels)
    return Histogram(
        column=name,
        labels=(*labels, "all others") if has_more else tuple(labels),
        train=bars(counts),
        test=() if test is None else bars(test_counts),
        missing_train=int(train.isna().sum()),
        missing_test=0 if test is None else int(test.isna().sum()),
    )


def _labels(cells: pd.Series[Any]) -> pd.Series[Any]:
    present = cells.dropna()
    is_flag = present.dtype.kind in "fb"
    return present.map(lambda cell: ("no", "yes")[int(cell)] if is_flag else str(cell))


def _numbers(cells: pd.Series[Any]) -> NDArray[np.float64]:
    return np.asarray(cells.to_numpy(dtype=np.float64))


def _counts(values: NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
