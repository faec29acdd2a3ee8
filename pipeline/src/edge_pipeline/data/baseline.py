"""Compute statistics of the training sample, to measure drift against."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.data.sample import Sample

__all__ = ["baseline"]

DECILES = range(10, 100, 10)


def baseline(sample: Sample) -> dict[str, dict[str, float]]:
    """Compute statistics of every column of the training sample, to measure drift against.

    Numbers have mean, standard deviation (population) and deciles ``q10`` to ``q90``; every column
    has ``missing``, a share of the rows.
    """
    deciles = _deciles(sample)
    result = {}
    for column in sample.schema.columns:
        values = sample.table[column.name].to_numpy()
        statistics = {"missing": float(pd.isna(values).mean())}
        if column.name in deciles:
            numbers = values[np.isfinite(values)]
            statistics["mean"] = float(numbers.mean())
            statistics["std"] = float(numbers.std())
            statistics |= {
                f"q{decile}": float(value)
                for decile, value in zip(DECILES, deciles[column.name], strict=True)
            }
        result[column.name] = {
            key: value for key, value in statistics.items() if np.isfinite(value)
        }
    return result


def _deciles(sample: Sample) -> dict[str, NDArray[np.float64]]:
    """Return the deciles of every column of numbers; one call for all complete columns."""
    names = [column.name for column in sample.schema.columns if column.is_number]
    numbers = sample.table[names].to_numpy(dtype=np.float64)
    finite = np.isfinite(numbers)
    complete = finite.all(axis=0)
    of_complete = np.percentile(numbers[:, complete], DECILES, axis=0)
    result = dict(zip(np.array(names, dtype=object)[complete], of_complete.T, strict=True))
    for i in np.flatnonzero(finite.any(axis=0) & ~complete):
        result[names[i]] = np.percentile(numbers[finite[:, i], i], DECILES)
    return result
