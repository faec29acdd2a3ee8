"""Convert imputers that read the other columns: KNNImputer and IterativeImputer."""

from __future__ import annotations

from typing import Any

import numpy as np

# IterativeImputer can be imported only after this.
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from edge_pipeline.conversion.column_frame import Frame, frame_of, matrix_of
from edge_pipeline.conversion.context import Context, Methods
from edge_pipeline.conversion.estimators.impute import is_missing, with_indicator
from edge_pipeline.conversion.estimators.neighbors import TIE, neighbour_weights
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.numeric.distances import nan_euclidean_distance

__all__ = ["CONVERTERS"]


def _from_neighbours(context: Context, imputer: Any, X: Tensor) -> Tensor | Frame:
    """KNNImputer.transform: the mean of the nearest training rows that have a value there."""
    if imputer.metric != "nan_euclidean":
        raise context.refuse(
            f"metric={imputer.metric!r}: a function of two rows, which scikit-learn calls with the "
            "marker of missing values; use 'nan_euclidean'"
        )
    missing = is_missing(X, imputer.missing_values)
    missing_in_training = np.asarray(imputer._mask_fit_X)
    rows = np.where(missing_in_training, np.nan, np.asarray(imputer._fit_X, dtype=np.float64))
    distances = nan_euclidean_distance(rows).distances(ops.where(missing, np.nan, X))
    columns: list[Tensor | Frame] = []
    for i, has_donors in enumerate(imputer._valid_mask):
        if has_donors:
            donors = np.flatnonzero(~missing_in_training[:, i])
            is_missing_here = missing[:, i : i + 1]
            value = _mean_of_donors(
                context, imputer, distances, donors, rows[donors, i], is_missing_here
            )
            columns.append(ops.where(is_missing_here, value, X[:, i : i + 1]))
        elif imputer.keep_empty_features:
            columns.append(ops.full_rows(X, np.zeros(1)))
    return with_indicator(context, imputer, frame_of(X), columns)


def _mean_of_donors(
    context: Context, imputer: Any, distances: Tensor, donors: Any, values: Any, missing: Tensor
) -> Tensor:
    """KNNImputer._calc_impute: shape (n_samples, 1); the column's mean where no donor is near.

    Among equally near donors the first counts; in scikit-learn it depends on argpartition.  So
    rows with such a tie are ambiguous where the value is *missing*.
    """
    count = min(imputer.n_neighbors, len(donors))
    if len(donors) < (distances.shape[1] or 0):
        distances = ops.take(distances, donors, 1)
    sortable = ops.where(ops.isnan(distances), np.inf, distances)
    nearest, position = ops.top_k(sortable, count, largest=False)
    if count < len(donors):
        after = ops.top_k(sortable, count + 1, largest=False)[0][:, count]
        tied = (after - nearest[:, count - 1] <= TIE * after) & ~ops.isinf(after)
        context.mark_ambiguous(tied & missing[:, 0])
    is_nan = ops.isinf(nearest)
    weight = neighbour_weights(context, imputer.weights, ops.where(is_nan, np.nan, nearest))
    if weight is None:
        weight = (~is_nan).astype(np.float64)
    else:
        weight = ops.where(ops.isnan(weight), 0.0, weight)
    total = ops.sum_(weight, 1, keepdims=True)
    weighted = ops.sum_(ops.take(values, position) * weight, 1, keepdims=True)
    none_near = ops.isinf(nearest[:, :1])
    mean = float(np.ma.array(values).mean())
    return ops.where(none_near, mean, weighted / ops.where(none_near, 1.0, total))


def _by_regression(context: Context, imputer: Any, X: Tensor) -> Tensor | Frame:
    """IterativeImputer.transform: run the fitted regressors in the order of their fitting."""
    if imputer.sample_posterior:
        raise context.refuse(
            "sample_posterior=True draws random numbers at every transform, so its output cannot "
            "be reproduced; train with sample_posterior=False"
        )
    initial = matrix_of(context.transform(imputer.initial_imputer_, X, at="initial_imputer_"))
    missing = is_missing(X, imputer.missing_values)
    empty = np.asarray(imputer._is_empty_feature)
    if not imputer.keep_empty_features:
        missing = missing[:, np.flatnonzero(~empty)] if empty.any() else missing
    elif empty.any():
        missing = missing & ~empty
    frame = frame_of(X)
    if imputer.n_iter_ == 0:
        return with_indicator(context, imputer, frame, [initial])
    columns = [initial[:, i : i + 1] for i in range(initial.width)]
    for step, (feature, neighbour_features, estimator) in enumerate(imputer.imputation_sequence_):
        inputs = ops.concatenate([columns[i] for i in neighbour_features], 1)
        at = f"imputation_sequence_[{step}]"
        value = ops.reshape_rows(context.call(estimator, "predict", inputs, at=at), 1)
        low, high = float(imputer._min_value[feature]), float(imputer._max_value[feature])
        value = ops.clip(value, low if low > -np.inf else None, high if high < np.inf else None)
        is_missing_here = missing[:, int(feature) : int(feature) + 1]
        columns[feature] = ops.where(is_missing_here, value, columns[feature])
    # Where every value of all rows is missing, scikit-learn returns the initial imputation.
    all_missing = ops.min_(missing.astype(np.int64), axis=(0, 1)) > 0
    imputed = ops.where(all_missing, initial, ops.concatenate(columns, 1))
    return with_indicator(context, imputer, frame, [imputed])


CONVERTERS: dict[type, Methods] = {
    KNNImputer: {"transform": _from_neighbours},
    IterativeImputer: {"transform": _by_regression},
}
