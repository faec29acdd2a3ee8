"""XGBoost's scikit-learn estimators, from the JSON that a booster saves.

XGBoost casts input to float32, asks ``x < threshold``, and adds leaves in float32 after the base
score; the operator in float32 does the same, so margins are equal to the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.booster_columns import coded_matrix
from edge_pipeline.conversion.trees.ensemble import (
    Forest,
    join_forests,
    prepend_constant_trees,
    sum_by_target,
)

__all__ = ["CONVERTERS"]

_CATEGORICAL = 1


@dataclass(frozen=True, eq=False)
class _Booster:
    """The fields of a saved booster that the conversion reads.

    Attributes
    ----------
    objective
        Its name.
    base
        Base score of every group, before the link.
    trees, groups
        The trees in use, and the group (class or target) that each adds to.
    drops
        Factor of every tree's leaves (dart).
    categories
        Values of categorical columns by code, where the booster keeps them.
    """

    objective: str
    base: NDArray[np.float32]
    trees: list[Mapping[str, Any]]
    groups: NDArray[np.int64]
    drops: NDArray[np.float32]
    categories: Mapping[int, list[Any]]


def _read(context: Context, model: Any) -> _Booster:
    learner = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]
    outer = learner["gradient_booster"]
    if outer["name"] == "gblinear":
        raise context.refuse("booster='gblinear' holds no trees; train a linear model instead")
    inner = outer.get("gbtree", outer)["model"]
    counts = learner["learner_model_param"]
    n_groups = max(int(counts["num_class"]), 1) * int(counts.get("num_target", 1))
    end = _trees_in_use(model, inner, n_groups)
    trees = inner["trees"][:end]
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees):
        raise context.refuse("multi_strategy='multi_output_tree'; use 'one_output_per_tree'")
    return _Booster(
        objective=learner["objective"]["name"],
        base=np.broadcast_to(_base(counts["base_score"]), n_groups),
        trees=trees,
        groups=np.array(inner["tree_info"][:end], dtype=np.int64),
        drops=np.array(outer.get("weight_drop", np.ones(len(trees)))[:end], dtype=np.float32),
        categories=_categories(inner.get("cats", {}).get("enc", [])),
    )


def _trees_in_use(model: Any, inner: Mapping[str, Any], n_groups: int) -> int:
    """Trees up to the best iteration, where training stopped early."""
    try:
        iterations = model.best_iteration + 1
    except AttributeError:
        return len(inner["trees"])
    each = n_groups * int(inner["gbtree_model_param"]["num_parallel_tree"])
    return int(iterations) * each


def _base(text: str) -> NDArray[np.float32]:
    """One number before XGBoost 3.1, then a list."""
    return np.atleast_1d(np.array(json.loads(text), dtype=np.float32))


def _categories(encodings: list[Mapping[str, Any]]) -> dict[int, list[Any]]:
    categories: dict[int, list[Any]] = {}
    for feature, encoding in enumerate(encodings):
        values = encoding["values"]
        if not values:
            continue
        if "offsets" in encoding:
            letters = np.array(values, dtype=np.int8).tobytes()
            pairs = pairwise(encoding["offsets"])
            categories[feature] = [letters[start:end].decode() for start, end in pairs]
        else:
            categories[feature] = values
    return categories


def _forest(tree: Mapping[str, Any]) -> Forest:
    """``x < condition`` goes left; a category of the set goes right, any other left."""
    left = np.array(tree["left_children"], dtype=np.int64)
    right = np.array(tree["right_children"], dtype=np.int64)
    condition = np.array(tree["split_conditions"], dtype=np.float32)
    missing_left = np.array(tree["default_left"], dtype=np.bool_)
    sets = (np.array(tree["split_type"]) == _CATEGORICAL) & (left >= 0)
    sizes = np.array(tree["categories_sizes"], dtype=np.int64)
    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=np.array(tree["split_indices"], dtype=np.int64),
        threshold=np.nextafter(condition, np.float32(-np.inf)).astype(np.float64),
        left=np.where(sets, right, left),
        right=np.where(sets, left, right),
        missing_left=missing_left ^ sets,
        members=(
            np.repeat(np.array(tree["categories_nodes"], dtype=np.int64), sizes),
            np.array(tree["categories"], dtype=np.float64),
        ),
    )


def _margin(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return context.cached(model, "margin", X, lambda: _margin_sum(context, model, X))  # type: ignore[no-any-return]


def _margin_sum(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """The base score, then every tree's leaf, in float32; shape (n_samples, n_groups)."""
    booster = _read(context, model)
    matrix = coded_matrix(context, X, booster.categories).astype(np.float32)
    mark = np.float32(model.missing)
    if not np.isnan(mark):
        matrix = ops.where(matrix == mark, np.float32(np.nan), matrix)
    n_groups = len(booster.base)
    leaves = [
        np.array(tree["split_conditions"], dtype=np.float32) * drop
        for tree, drop in zip(booster.trees, booster.drops, strict=True)
    ]
    forest, values = prepend_constant_trees(
        join_forests([_forest(tree) for tree in booster.trees]),
        np.concatenate(leaves).astype(np.float64),
        _margin_of(booster),
    )
    groups = np.append(np.arange(n_groups), booster.groups)
    targets = groups[forest.tree_of]
    return sum_by_target(matrix, forest, values, targets, n_groups, dtype=np.float32)


def _margin_of(booster: _Booster) -> NDArray[np.float32]:
    """The objective's ProbToMargin of the base score, in float32."""
    one = np.float32(1)
    if booster.objective in ("binary:logistic", "reg:logistic"):
        return np.asarray(-np.log(one / booster.base - one), dtype=np.float32)
    if _OUTPUTS.get(booster.objective) is ops.exp:
        return np.asarray(np.log(booster.base), dtype=np.float32)
    return booster.base


_OUTPUTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "binary:logistic": ops.sigmoid,
    "reg:logistic": ops.sigmoid,
    "binary:hinge": lambda margin: (margin > 0).astype(np.float64),
    "count:poisson": ops.exp,
    "reg:gamma": ops.exp,
    "reg:tweedie": ops.exp,
    "survival:cox": ops.exp,
    "survival:aft": ops.exp,
    "multi:softprob": ops.softmax,
    "multi:softmax": ops.softmax,
}


@on_frame
def _value(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """``XGBModel.predict``: the objective's PredTransform, rounded to float32."""
    margin = _margin(context, model, X)
    margin = ops.squeeze(margin, 1) if margin.width == 1 else margin
    transform = _OUTPUTS.get(_objective(context, model))
    if transform is None:
        return margin
    return transform(margin.astype(np.float64)).astype(np.float32)


def _objective(context: Context, model: Any) -> str:
    if callable(model.objective):
        return ""
    return str(json.loads(model.get_booster().save_config())["learner"]["objective"]["name"])


@on_frame
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    answer: Tensor = _value(context, model, X)
    return answer if answer.ndim == 2 else ops.stack([1.0 - answer, answer])


@on_frame
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    answer: Tensor = _value(context, model, X)
    if answer.ndim == 1:
        return (answer > 0.5).astype(np.int64)
    if model.n_classes_ == 2:  # several yes-or-no targets
        return (answer > 0.5).astype(np.float64)
    return ops.argmax(answer, 1)


_CLASSIFIER: Methods = {"predict": _label, "predict_proba": _probabilities}

CONVERTERS: dict[type, Methods] = {
    xgboost.XGBRegressor: {"predict": _value},
    xgboost.XGBRFRegressor: {"predict": _value},
    xgboost.XGBRanker: {"predict": _value},
    xgboost.XGBClassifier: _CLASSIFIER,
    xgboost.XGBRFClassifier: _CLASSIFIER,
}
