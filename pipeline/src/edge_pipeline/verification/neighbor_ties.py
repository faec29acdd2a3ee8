"""Accept another order of equally near training rows: scikit-learn's depends on its sorting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.conversion.estimator_methods import last_step
from edge_pipeline.verification.oracle import Oracle

__all__ = ["DISTANCES", "POSITIONS", "have_ties", "with_ties_accepted"]

DISTANCES, POSITIONS = "kneighbors.0", "kneighbors.1"
"""The two outputs of ``kneighbors``."""

TIE = 1e-9
"""Distances that differ by less than this share may come in another order on another CPU."""

MAX_RANKED = 1 << 20
"""Distances to all training rows that are held at once: 8 MiB."""


def with_ties_accepted(
    oracle: Oracle,
    table: pd.DataFrame,
    expected: tuple[NDArray[Any], NDArray[Any]],
    positions: NDArray[Any],
    tolerance: float,
) -> NDArray[Any]:
    """Return scikit-learn's positions, or the graph's where those are as near.

    scikit-learn itself computes the distance to each training row that the graph names in another
    place.  It must equal the distance of that place, within *tolerance* of the largest.

    Parameters
    ----------
    expected
        Distances and positions by scikit-learn.
    positions
        Positions by the graph.
    """
    distances, own = expected
    n_training = last_step(oracle.estimator).n_samples_fit_
    if positions.shape != own.shape or positions.dtype.kind != own.dtype.kind or not own.size:
        return own
    if positions.min() < 0 or positions.max() >= n_training:
        return own
    accepted = own.copy()
    differing = np.flatnonzero((positions != own).any(axis=1))
    for rows, ranked in _ranked(oracle, table, differing, n_training):
        theirs = positions[rows]
        actual = np.take_along_axis(ranked, theirs, axis=1)
        are_distinct = (np.diff(np.sort(theirs, axis=1), axis=1) > 0).all(axis=1, keepdims=True)
        are_equal = _are_equal(actual, distances[rows], tolerance) & are_distinct
        accepted[rows] = np.where(are_equal, theirs, own[rows])
    return accepted


def have_ties(oracle: Oracle, table: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell for each row whether two of its neighbours, or the next row, are equally near."""
    model = last_step(oracle.estimator)
    count = min(model.n_neighbors + 1, model.n_samples_fit_)
    nearest = oracle.kneighbors(table, count) or oracle.kneighbors(table, model.n_neighbors)
    if nearest is None or nearest[0].shape[1] < 2:
        return np.zeros(len(table), dtype=np.bool_)
    distances = nearest[0]
    with np.errstate(invalid="ignore", over="ignore"):
        are_apart = np.diff(distances, axis=1) > TIE * np.abs(distances[:, 1:])
    return np.asarray(~are_apart.all(axis=1))


def _ranked(
    oracle: Oracle, table: pd.DataFrame, rows: NDArray[np.int64], n_training: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Yield some rows at a time, and their distances to all training rows in order."""
    step = max(1, MAX_RANKED // n_training)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        nearest = oracle.kneighbors(table.iloc[some], n_training)
        if nearest is None:
            continue  # nothing is accepted
        distances, positions = nearest
        ranked = np.empty_like(distances)
        np.put_along_axis(ranked, positions, distances, axis=1)
        yield some, ranked


def _are_equal(a: NDArray[Any], b: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    finite = np.isfinite(a) & np.isfinite(b)
    scale = np.abs(b[finite]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        are_close = finite & (np.abs(a - b) <= tolerance * scale)
    return np.asarray(are_close | (a == b) | (np.isnan(a) & np.isnan(b)))
