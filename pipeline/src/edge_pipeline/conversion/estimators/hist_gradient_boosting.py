"""Histogram gradient boosting: float64 comparisons, missing values and sets of categories.

scikit-learn puts categorical columns first and encodes them as whole numbers; an unknown category
becomes missing (``_preprocessor``).  Here the columns are joined as they come, every category has
one number whatever its column, and the trees are renumbered to match.
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
    boosted_label,
    boosted_probabilities,
    linked,
    raw_column,
)
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import (
    Forest,
    join_forests,
    stumps_first,
    sum_by_target,
)

__all__ = ["CONVERTERS"]

_MAX_CODES = 256
"""Bits of a set of categories (BITSET_DTYPE of sklearn.utils._bitset: eight words of 32)."""


@dataclass(frozen=True, eq=False)
class _Columns:
    """The columns as the trees see them.

    Attributes
    ----------
    place
        Feature of a tree to column of the matrix.
    categories
        Shape (n_features, 256): for each feature of a tree the matrix' values of its categories,
        by the code that scikit-learn has for them; NaN beyond the last.
    """

    place: NDArray[np.int64]
    categories: NDArray[np.float64]


@on_frame
def _raw(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return context.cached(model, "raw", X, lambda: _raw_sum(context, model, X))  # type: ignore[no-any-return]


def _raw_sum(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """``_raw_predict``: the baseline, then every tree's value in the order of the iterations."""
    columns, matrix = _prepared(context, model, X)
    predictors = [one for iteration in model._predictors for one in iteration]
    forest = join_forests([_forest(predictor, columns) for predictor in predictors])
    values = np.concatenate([predictor.nodes["value"] for predictor in predictors])
    baseline = np.ravel(model._baseline_prediction)
    forest, values = stumps_first(forest, values, baseline)
    n_targets = model.n_trees_per_iteration_
    targets = np.tile(np.arange(n_targets), 1 + len(model._predictors))
    return sum_by_target(matrix, forest, values, targets[forest.tree_of], n_targets)


def _prepared(context: Context, model: Any, X: Tensor | Frame) -> tuple[_Columns, Tensor]:
    """The columns' description, and all columns in one matrix of numbers."""
    categories = np.full((model.n_features_in_, _MAX_CODES), np.nan)
    if model._preprocessor is None:
        return _Columns(np.arange(model.n_features_in_), categories), context.matrix(X)
    frame = frame_of(X)
    categorical = np.flatnonzero(model.is_categorical_)
    others = np.flatnonzero(~model.is_categorical_)
    known = model._preprocessor.named_transformers_["encoder"].categories_
    parts: list[Tensor | Frame] = [frame.select(others)] if len(others) else []
    order = [others]
    for textual in (False, True):
        kinds = [frame.columns[at][0].is_string for at in categorical]
        chosen = [i for i, kind in enumerate(kinds) if kind == textual]
        if not chosen:
            continue
        numbers = _numbered(context, [list(known[i]) for i in chosen])
        for i in chosen:
            codes = [numbers.get(MISSING_STRING if c is None else c, np.nan) for c in known[i]]
            categories[i, : len(codes)] = codes
        parts.append(_codes(frame.select(categorical[chosen]).matrix(), numbers))
        order.append(categorical[chosen])
    place = np.argsort(np.concatenate(order))
    return _Columns(place[np.append(categorical, others)], categories), context.matrix(join(parts))


def _numbered(context: Context, columns: list[Any]) -> dict[Any, float]:
    """A number for every category, so that one look-up serves all columns; not for NaN.

    scikit-learn takes NaN for a missing value and None for a category like any other.
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
    """The number of each value, NaN for one that is unknown or missing.

    Numeric categories too: onnxruntime cuts a value's fraction off before it looks into a set.
    """
    keys = np.array(list(numbers), dtype=object if X.is_string else np.float64)
    return ops.lookup(X, keys, np.array(list(numbers.values())), np.nan)


def _forest(predictor: Any, columns: _Columns) -> Forest:
    """``TreePredictor.nodes``: a value at most the threshold goes left, or one in the set."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(np.bool_)
    feature = np.where(leaf, 0, nodes["feature_idx"].astype(np.int64))
    forest = Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=columns.place[feature],
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
    return forest.with_sets(sets, columns.categories[feature[sets]], goes_left)


@on_frame
def _prediction(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return linked(context, model, raw_column(_raw(context, model, X)))


@on_frame
def _decision(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return raw_column(_raw(context, model, X))


@on_frame
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return boosted_probabilities(context, model, _raw(context, model, X))


@on_frame
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return boosted_label(context, model, _raw(context, model, X), zero_is_second=False)


CONVERTERS: dict[type, Methods] = {
    ensemble.HistGradientBoostingRegressor: {"predict": _prediction},
    ensemble.HistGradientBoostingClassifier: {
        "predict": _label,
        "predict_proba": _probabilities,
        "decision_function": _decision,
    },
}
