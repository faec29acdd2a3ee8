"""Convert XGBoost's scikit-learn estimators from the JSON that a booster saves.

XGBoost casts input to float32, tests ``x < threshold``, and adds leaves in float32 after the base
score; the operator in float32 does the same, so margins are equal to the last bit.  So are the
predictions: ``graph/float32_math.py`` repeats the exponential of the C library.
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

from edge_pipeline.conversion.boosters.columns import coded_matrix, rounded_codes
from edge_pipeline.conversion.column_frame import Frame, frame_of, zeros_of
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.float32_math import (
    SMALLEST_POSITIVE,
    exp_float32,
    sigmoid_float32,
    softmax_float32,
)
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.input_restrictions import restrict_values
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
        Sum of every group before the first tree.
    trees, groups
        The trees in use, and the group (class or target) that each adds to.
    drops
        Factor of every tree's leaves; None but for dart.
    categories
        Values of categorical columns by code, where the booster keeps them.
    """

    objective: str
    base: NDArray[np.float32]
    trees: list[Mapping[str, Any]]
    groups: NDArray[np.int64]
    drops: list[float] | None
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
        base=_base_margin(learner, inner, n_groups),
        trees=trees,
        groups=np.array(inner["tree_info"][:end], dtype=np.int64),
        drops=outer["weight_drop"][:end] if "weight_drop" in outer else None,
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


def _base_margin(
    learner: Mapping[str, Any], inner: Mapping[str, Any], n_groups: int
) -> NDArray[np.float32]:
    """Return the sums before the first tree: what XGBoost predicts when all leaves are zero.

    The file holds them before the objective's ``ProbToMargin``, whose logarithm is the C library's.
    """
    n_trees = n_groups * int(inner["gbtree_model_param"]["num_parallel_tree"])
    model = {
        **inner,
        "gbtree_model_param": {**inner["gbtree_model_param"], "num_trees": str(n_trees)},
        "iteration_indptr": [0, n_trees],
        "trees": [_without_leaf_values(tree) for tree in inner["trees"][:n_trees]],
        "tree_info": inner["tree_info"][:n_trees],
    }
    model.pop("cats", None)
    single = {
        **learner,
        "attributes": {},
        "feature_names": [],
        "feature_types": [],
        "gradient_booster": {"name": "gbtree", "model": model},
    }
    version = list(map(int, xgboost.__version__.split(".")[:3]))
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(json.dumps({"learner": single, "version": version}).encode()))
    row = np.zeros((1, int(learner["learner_model_param"]["num_feature"])))
    margin = booster.predict(xgboost.DMatrix(row), output_margin=True)
    return np.asarray(margin, dtype=np.float32).reshape(n_groups)


def _without_leaf_values(tree: Mapping[str, Any]) -> dict[str, Any]:
    pairs = zip(tree["split_conditions"], tree["left_children"], strict=True)
    return {**tree, "split_conditions": [c if child >= 0 else 0.0 for c, child in pairs]}


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


@dataclass(frozen=True, eq=False)
class _Margin:
    """The sums of leaves, shape (n_samples, n_groups), and a bound of their magnitude."""

    sums: Tensor
    bound: float
    objective: str


def _margin(context: Context, model: Any, X: Tensor | Frame) -> _Margin:
    return context.cached(model, "margin", X, lambda: _margin_sum(context, model, X))  # type: ignore[no-any-return]


def _margin_sum(context: Context, model: Any, X: Tensor | Frame) -> _Margin:
    """Add every tree's leaf to the base score, in float32."""
    booster = _read(context, model)
    matrix = _matrix(context, model, booster, X)
    n_groups = len(booster.base)
    forest, values = prepend_constant_trees(
        join_forests([_forest(tree) for tree in booster.trees]),
        np.concatenate(_leaf_values(booster)).astype(np.float64),
        booster.base,
    )
    groups = np.append(np.arange(n_groups), booster.groups)
    targets = groups[forest.tree_of]
    sums = sum_by_target(matrix, forest, values, targets, n_groups, dtype=np.float32)
    return _Margin(sums, _largest_sum(forest, values), booster.objective)


def _leaf_values(booster: _Booster) -> list[NDArray[np.float32]]:
    """Return the numbers that the leaves of every tree add, one a node."""
    leaves = [np.array(tree["split_conditions"], dtype=np.float32) for tree in booster.trees]
    if booster.drops is None:
        return leaves
    # Dart's inplace_predict adds the base to each tree's leaf and takes it away, which rounds.
    return [
        (leaf + base - base) * np.float32(drop)
        for leaf, base, drop in zip(
            leaves, booster.base[booster.groups], booster.drops, strict=True
        )
    ]


def _matrix(context: Context, model: Any, booster: _Booster, X: Tensor | Frame) -> Tensor:
    """Return the columns in float32, with codes for categories and NaN for what is missing."""
    zeros = zeros_of(X)
    if zeros == "mixed":
        raise context.refuse(_MIXED_ZEROS)
    if booster.categories:
        # "Found a category not in the training set", unless it is the only one in the table.
        columns = frame_of(X).select(booster.categories)
        restrict_values(context, columns, list(booster.categories.values()))
    matrix = coded_matrix(context, X, booster.categories)
    if zeros == "absent":
        matrix = ops.where(matrix == 0.0, np.nan, matrix)
    matrix = matrix.astype(np.float32)
    mark = np.float32(model.missing)
    if not np.isnan(mark):
        matrix = ops.where(matrix == mark, np.float32(np.nan), matrix)
    codes = _code_columns(booster.trees)
    # The cast comes first: 2.99999999 is the code 3.
    # XGBoost takes no number below zero for a category (``InvalidCat``): -0.5 is not category 0.
    return rounded_codes(matrix, np.setdiff1d(codes, list(booster.categories)), ops.floor)


_MIXED_ZEROS = (
    "XGBoost takes the absent zeros of a sparse matrix for missing values, and the step before it "
    "also stores zeros, so which ones are missing depends on the row; make that step dense "
    "(sparse_output=False, sparse_threshold=0), or a hashing one use alternate_sign=False"
)


def _code_columns(trees: list[Mapping[str, Any]]) -> NDArray[np.int64]:
    """Return the columns in which some tree splits by categories."""
    columns: set[int] = set()
    for tree in trees:
        features = np.array(tree["split_indices"], dtype=np.int64)
        columns.update(features[np.array(tree["categories_nodes"], dtype=np.int64)].tolist())
    return np.array(sorted(columns), dtype=np.int64)


def _largest_sum(forest: Forest, values: NDArray[np.float64]) -> float:
    """Return a number that no sum of one leaf of every tree exceeds in magnitude."""
    is_leaf = forest.is_leaf
    starts = np.flatnonzero(np.diff(forest.tree_of[is_leaf], prepend=-1))
    total = float(np.maximum.reduceat(np.abs(values[is_leaf]), starts).sum())
    return total * (1.0 + 1e-6 * forest.n_trees)  # sums in float32 are rounded


_LINKS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "binary:logistic": sigmoid_float32,
    "reg:logistic": sigmoid_float32,
    "binary:hinge": lambda margin, _: (margin > 0).astype(np.float32),
    "count:poisson": exp_float32,
    "reg:gamma": exp_float32,
    "reg:tweedie": exp_float32,
    "survival:cox": exp_float32,
    "survival:aft": exp_float32,
    "multi:softprob": softmax_float32,
    "multi:softmax": softmax_float32,
}


@on_frame
def _value(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """``XGBModel.predict``: the objective's PredTransform of the sums."""
    margin = _margin(context, model, X)
    link = _link(margin, model)
    output = margin.sums if link is None else link(margin.sums, margin.bound)
    return ops.squeeze(output, 1) if output.width == 1 else output


def _link(margin: _Margin, model: Any) -> Callable[[Tensor, float], Tensor] | None:
    """Return the objective's function of the sums; none for an objective of the user's own."""
    return None if callable(model.objective) else _LINKS.get(margin.objective)


@on_frame
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    if _margin(context, model, X).objective == "multi:softmax":
        # scipy's softmax in place of XGBoost's own: the exp is numpy's.
        context.has_float32_functions = True
    proba: Tensor = _value(context, model, X)
    return proba if proba.ndim == 2 else ops.stack([1.0 - proba, proba])


@on_frame
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    margin = _margin(context, model, X)
    if _link(margin, model) is sigmoid_float32:
        is_positive = margin.sums >= SMALLEST_POSITIVE
        if margin.sums.width == 1:
            return ops.squeeze(is_positive, 1).astype(np.int64)
        return is_positive.astype(np.float64)  # several yes-or-no targets
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
