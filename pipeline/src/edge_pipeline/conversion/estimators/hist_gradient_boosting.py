"""Convert histogram gradient boosting, with missing values and sets of categories.

scikit-learn puts categorical columns first and encodes them as whole numbers; an unseen category
becomes a missing value (``_preprocessor``).  Here every category has one number in all columns,
numeric columns come first, and the trees' features and categories are renumbered to match.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING
from numpy.typing import NDArray
from sklearn import ensemble

from edge_pipeline.conversion.column_frame import Frame, frame_of, join
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.estimators.gradient_boosting import (
    boosted_classifier,
    inverse_link,
    raw_column,
)
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import (
    Forest,
    join_forests,
    prepend_constant_trees,
    sum_by_target,
)

__all__ = ["CONVERTERS"]

_MAX_CODES = 256
"""Bits of a set of categories (BITSET_DTYPE of sklearn.utils._bitset: eight words of 32)."""


@dataclass(frozen=True, eq=False)
class _Columns:
    """Map the features and categories of the trees to the matrix.

    Attributes
    ----------
    position
        The matrix column of each feature of a tree.
    categories
        Shape (n_features, 256): the number of each category in the matrix, by feature of a tree
        and by scikit-learn's code of the category; NaN beyond the last.
    """

    position: NDArray[np.int64]
    categories: NDArray[np.float64]


@on_frame
def _raw(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return context.cached(model, "raw", X, lambda: _raw_sum(context, model, X))  # type: ignore[no-any-return]


def _raw_sum(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """Add every tree's value to the baseline, in the order of the iterations (``_raw_predict``)."""
    columns, matrix = _prepared(context, model, X)
    predictors = [predictor for iteration in model._predictors for predictor in iteration]
    forest = join_forests([_forest(predictor, columns) for predictor in predictors])
    values = np.concatenate([predictor.nodes["value"] for predictor in predictors])
    baseline = np.ravel(model._baseline_prediction)
    forest, values = prepend_constant_trees(forest, values, baseline)
    n_targets = model.n_trees_per_iteration_
    targets = np.tile(np.arange(n_targets), 1 + len(model._predictors))
    return sum_by_target(matrix, forest, values, targets[forest.tree_of], n_targets)


def _prepared(context: Context, model: Any, X: Tensor | Frame) -> tuple[_Columns, Tensor]:
    """Join all columns in one matrix of numbers, and describe them."""
    categories = np.full((model.n_features_in_, _MAX_CODES), np.nan)
    if model._preprocessor is None:
        return _Columns(np.arange(model.n_features_in_), categories), context.matrix(X)
    frame = frame_of(X)
    categorical = np.flatnonzero(model.is_categorical_)
    numeric = np.flatnonzero(~model.is_categorical_)
    trained = model._preprocessor.named_transformers_["encoder"].categories_
    parts: list[Tensor | Frame] = [frame.select(numeric)] if len(numeric) else []
    order = [numeric]
    for textual in (False, True):
        are_strings = [frame.columns[at][0].is_string for at in categorical]
        selected = [i for i, is_string in enumerate(are_strings) if is_string == textual]
        if not selected:
            continue
        numbers = _numbered(context, [list(trained[i]) for i in selected])
        for i in selected:
            codes = [numbers.get(MISSING_STRING if c is None else c, np.nan) for c in trained[i]]
            categories[i, : len(codes)] = codes
        parts.append(_codes(frame.select(categorical[selected]).matrix(), numbers))
        order.append(categorical[selected])
    position = np.argsort(np.concatenate(order))
    return _Columns(position[np.append(categorical, numeric)], categories), context.matrix(
        join(parts)
    )


def _numbered(context: Context, columns: list[Any]) -> dict[Any, float]:
    """Number every category but NaN, so that all columns share one look-up.

    For scikit-learn NaN is a missing value, and None is a category like any other.
    """
    for categories in columns:
        if None in categories and any(c != c for c in categories):
            raise context.refuse(
                "categorical_features: a column holds both None and NaN, which are one missing "
                "value on the device; replace one by the other before training"
            )
    words = [MISSING_STRING if c is None else c for categories in columns for c in categories]
    return {word: float(i) for i, word in enumerate(dict.fromkeys(w for w in words if w == w))}


def _codes(X: Tensor, numbers: Mapping[Any, float]) -> Tensor:
    """Return the number of each value; NaN for an unseen category or a missing value.

    Numeric categories too: onnxruntime truncates a value before it tests whether a set has it.
    """
    keys = np.array(list(numbers), dtype=object if X.is_string else np.float64)
    return ops.lookup(X, keys, np.array(list(numbers.values())), np.nan)


def _forest(predictor: Any, columns: _Columns) -> Forest:
    """Read ``TreePredictor.nodes``: values up to the threshold, or in the set, go left."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(np.bool_)
    feature = np.where(leaf, 0, nodes["feature_idx"].astype(np.int64))
    forest = Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=columns.position[feature],
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        missing_left=nodes["missing_go_to_left"].astype(np.bool_),
    )
    sets = np.flatnonzero(nodes["is_categorical"].astype(np.bool_) & ~leaf)
    if not len(sets):
        return forest
    bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][sets]].astype("<u4")
    goes_left = np.unpackbits(
        np.ascontiguousarray(bits).view(np.uint8), axis=1, bitorder="little"
    ).astype(np.bool_)
    return forest.with_category_sets(sets, columns.categories[feature[sets]], goes_left)


@on_frame
def _prediction(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return inverse_link(context, model, raw_column(_raw(context, model, X)))


CONVERTERS: dict[type, Methods] = {
    ensemble.HistGradientBoostingRegressor: {"predict": _prediction},
    ensemble.HistGradientBoostingClassifier: boosted_classifier(_raw, zero_is_second=False),
}
