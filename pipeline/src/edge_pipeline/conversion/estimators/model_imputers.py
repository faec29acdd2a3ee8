"""Imputers that look at the other columns: KNNImputer and IterativeImputer."""

from __future__ import annotations

from typing import Any

import numpy as np

# IterativeImputer can be imported only after this.
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from edge_pipeline.conversion.column_frame import Frame, frame_of, matrix_of
from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.impute import is_missing, with_indicator
from edge_pipeline.conversion.estimators.neighbors import TIE, weighed
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.distances import gap_distance

__all__ = ["CONVERTERS"]


def _from_neighbours(context: Context, imputer: Any, X: Tensor) -> Tensor | Frame:
    """KNNImputer: of each column, the mean of the nearest training rows that have a value there."""
    if imputer.metric != "nan_euclidean":
        raise context.refuse(
            f"metric={imputer.metric!r}: a function of two rows, which scikit-learn calls with the "
            "missing value's mark; use 'nan_euclidean'"
        )
    missing = is_missing(X, imputer.missing_values)
    gaps = np.asarray(imputer._mask_fit_X)
    rows = np.where(gaps, np.nan, np.asarray(imputer._fit_X, dtype=np.float64))
    distances = gap_distance(rows).distances(ops.where(missing, np.nan, X))
    columns: list[Tensor | Frame] = []
    for i, known in enumerate(imputer._valid_mask):
        if known:
            donors = np.flatnonzero(~gaps[:, i])
            gap = missing[:, i : i + 1]
            value = _donated(context, imputer, distances, donors, rows[donors, i], gap)
            columns.append(ops.where(gap, value, X[:, i : i + 1]))
        elif imputer.keep_empty_features:
            columns.append(ops.full_rows(X, np.zeros(1)))
    return with_indicator(context, imputer, frame_of(X), columns)


def _donated(
    context: Context, imputer: Any, distances: Tensor, donors: Any, values: Any, gap: Tensor
) -> Tensor:
    """KNNImputer._calc_impute: shape (n_samples, 1); the column's mean where no donor is near.

    Of equally near donors the first is taken; scikit-learn takes whichever argpartition leaves,
    so rows with a *gap* and such a tie are doubted.
    """
    count = min(imputer.n_neighbors, len(donors))
    if len(donors) < (distances.shape[1] or 0):
        distances = ops.take(distances, donors, 1)
    sortable = ops.where(ops.isnan(distances), np.inf, distances)
    nearest, place = ops.top_k(sortable, count, largest=False)
    if count < len(donors):
        after = ops.top_k(sortable, count + 1, largest=False)[0][:, count]
        tied = (after - nearest[:, count - 1] <= TIE * after) & ~ops.isinf(after)
        context.mark_ambiguous(tied & gap[:, 0])
    apart = ops.isinf(nearest)
    weight = weighed(context, imputer.weights, ops.where(apart, np.nan, nearest))
    if weight is None:
        weight = (~apart).astype(np.float64)
    else:
        weight = ops.where(ops.isnan(weight), 0.0, weight)
    total = ops.sum_(weight, 1, keepdims=True)
    given = ops.sum_(ops.take(values, place) * weight, 1, keepdims=True)
    none_near = ops.isinf(nearest[:, :1])
    mean = float(np.ma.array(values).mean())
    return ops.where(none_near, mean, given / ops.where(none_near, 1.0, total))


def _by_regression(context: Context, imputer: Any, X: Tensor) -> Tensor | Frame:
    """IterativeImputer: the fitted regressors, replayed in the order of their fitting."""
    if imputer.sample_posterior:
        raise context.refuse(
            "sample_posterior=True draws random numbers at every transform, so it has no answer "
            "that could be reproduced; train with sample_posterior=False"
        )
    filled = matrix_of(context.transform(imputer.initial_imputer_, X, at="initial_imputer_"))
    missing = is_missing(X, imputer.missing_values)
    empty = np.asarray(imputer._is_empty_feature)
    if not imputer.keep_empty_features:
        missing = missing[:, np.flatnonzero(~empty)] if empty.any() else missing
    elif empty.any():
        missing = missing & ~empty
    frame = frame_of(X)
    if imputer.n_iter_ == 0:
        return with_indicator(context, imputer, frame, [filled])
    columns = [filled[:, i : i + 1] for i in range(filled.width)]
    for step, (feature, others, estimator) in enumerate(imputer.imputation_sequence_):
        given = ops.concatenate([columns[i] for i in others], 1)
        at = f"imputation_sequence_[{step}]"
        value = ops.reshape_rows(context.call(estimator, "predict", given, at=at), 1)
        low, high = float(imputer._min_value[feature]), float(imputer._max_value[feature])
        value = ops.clip(value, low if low > -np.inf else None, high if high < np.inf else None)
        gap = missing[:, int(feature) : int(feature) + 1]
        columns[feature] = ops.where(gap, value, columns[feature])
    # scikit-learn leaves a table in which every value is missing as it was filled at first.
    nothing_known = ops.min_(missing.astype(np.int64), axis=(0, 1)) > 0
    answer = ops.where(nothing_known, filled, ops.concatenate(columns, 1))
    return with_indicator(context, imputer, frame, [answer])


CONVERTERS: dict[type, Methods] = {
    KNNImputer: {"transform": _from_neighbours},
    IterativeImputer: {"transform": _by_regression},
}
