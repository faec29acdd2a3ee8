"""LightGBM's scikit-learn estimators, from the text that a booster saves.

Rules as in LightGBM's ``include/LightGBM/tree.h``: float64 ``<=``, three kinds of missing values a
split, sets of categories as bits.  Sums are in float64, in the order of the trees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from edge_pipeline.conversion.boosters.columns import (
    coded_matrix,
    matrix_without_zeros,
    rounded_codes,
)
from edge_pipeline.conversion.column_frame import Frame, frame_of, zeros_of
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import Forest, join_forests, sum_by_target

__all__ = ["CONVERTERS"]

_CATEGORICAL, _DEFAULT_LEFT, _MISSING_SHIFT = 1, 2, 2
_NONE, _ZERO = 0, 1
_ZERO_LIMIT = float(np.float32(1e-35))
"""kZeroThreshold of LightGBM's meta.h."""


def _raw(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """The trees' sums, shape (n_samples, n_trees_per_iteration)."""
    return context.cached(model, "raw", X, lambda: _raw_sum(context, model, X))  # type: ignore[no-any-return]


def _raw_sum(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    header, *blocks = model.booster_.model_to_string().split("\nTree=")
    settings = _fields(header)
    trees = [_fields(block.split("\nend of trees")[0]) for block in blocks]
    if any(tree.get("is_linear") == "1" for tree in trees):
        raise context.refuse("linear_tree=True: leaves with linear models are not converted")
    categories = _categories(context, model, settings, X)
    matrix = coded_matrix(context, X, categories)
    # ``CategoricalDecision`` of tree.h casts to int, so -0.5 is category 0.
    matrix = rounded_codes(matrix, np.setdiff1d(_code_columns(trees), list(categories)), ops.trunc)
    zero_is_missing = np.zeros(matrix.width, dtype=np.bool_)
    for tree in trees:
        zero_is_missing[_features_with_missing_zeros(tree)] = True
    if zero_is_missing.any():
        matrix = matrix_without_zeros(matrix, zero_is_missing, _ZERO_LIMIT)
    is_dense = zeros_of(X) == "stored"
    forest = join_forests([_forest(tree, is_dense) for tree in trees])
    values = np.concatenate([_values(tree) for tree in trees])
    n_targets = int(settings["num_tree_per_iteration"])
    targets = (np.arange(len(trees)) % n_targets)[forest.tree_of]
    total = sum_by_target(matrix, forest, values, targets, n_targets)
    if "\naverage_output\n" in header:
        total = total / float(len(trees) // n_targets)
    return total


def _fields(text: str) -> dict[str, str]:
    """Lines of ``key=value``."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _reals(tree: Mapping[str, str], key: str) -> NDArray[np.float64]:
    return np.array(tree.get(key, "").split(), dtype=np.float64)


def _wholes(tree: Mapping[str, str], key: str) -> NDArray[np.int64]:
    return np.array(tree.get(key, "").split(), dtype=np.int64)


def _code_columns(trees: list[dict[str, str]]) -> NDArray[np.int64]:
    """Return the columns in which some tree splits by categories."""
    columns: set[int] = set()
    for tree in trees:
        is_set = _wholes(tree, "decision_type") & _CATEGORICAL != 0
        columns.update(_wholes(tree, "split_feature")[is_set].tolist())
    return np.array(sorted(columns), dtype=np.int64)


def _features_with_missing_zeros(tree: Mapping[str, str]) -> NDArray[np.int64]:
    kind = _wholes(tree, "decision_type")
    missing = (kind >> _MISSING_SHIFT) & 3
    zero_is_missing = (missing == _ZERO) & (kind & _CATEGORICAL == 0)
    return np.asarray(_wholes(tree, "split_feature")[zero_is_missing])


def _forest(tree: Mapping[str, str], is_dense: bool) -> Forest:
    """Splits first, then leaves; a child below zero is the complement of a leaf's number."""
    kind = _wholes(tree, "decision_type")
    n_splits, n_leaves = len(kind), int(tree["num_leaves"])
    threshold = _reals(tree, "threshold")
    if is_dense:
        threshold = _zero_as_interval(threshold, kind & _CATEGORICAL != 0)
    missing = (kind >> _MISSING_SHIFT) & 3
    # NaN at a split without missing values is compared as 0.0; at a set it goes right.
    missing_left = np.where(missing == _NONE, threshold >= 0.0, kind & _DEFAULT_LEFT != 0)
    categorical = kind & _CATEGORICAL != 0
    leaf = np.full(n_leaves, -1, dtype=np.int64)

    def children(side: str) -> NDArray[np.int64]:
        at = _wholes(tree, side)
        return np.append(np.where(at < 0, n_splits + ~at, at), leaf)

    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=np.append(_wholes(tree, "split_feature"), np.zeros_like(leaf)),
        threshold=np.append(threshold, np.zeros(n_leaves)),
        left=children("left_child"),
        right=children("right_child"),
        missing_left=np.append(missing_left & ~categorical, leaf > 0),
        members=_members(tree, np.flatnonzero(categorical), threshold),
    )


def _zero_as_interval(
    threshold: NDArray[np.float64], categorical: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Thresholds that send all values within the zero threshold where they send zero.

    LightGBM reads a matrix row by row and leaves out what is no larger (c_api.cpp,
    ``RowPairFunctionFromDenseMatric``), so it compares zero instead.
    """
    below = np.nextafter(-_ZERO_LIMIT, -np.inf)
    near = np.where(threshold < 0, np.minimum(threshold, below), np.maximum(threshold, _ZERO_LIMIT))
    return np.where((np.abs(threshold) <= _ZERO_LIMIT) & ~categorical, near, threshold)


def _members(
    tree: Mapping[str, str], nodes: NDArray[np.int64], threshold: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The categories that go left, from the bits that ``cat_boundaries`` delimits by words."""
    bounds = _wholes(tree, "cat_boundaries")
    words = _wholes(tree, "cat_threshold").astype("<u4")
    bits = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
    set_index = np.searchsorted(bounds, bits // 32, side="right") - 1
    node_of = np.zeros(max(len(bounds) - 1, 0), dtype=np.int64)
    node_of[threshold[nodes].astype(np.int64)] = nodes
    owner = node_of[set_index]
    order = np.argsort(owner, kind="stable")
    return owner[order], (bits - 32 * bounds[set_index])[order].astype(np.float64)


def _values(tree: Mapping[str, str]) -> NDArray[np.float64]:
    leaves = _reals(tree, "leaf_value")
    return np.append(np.zeros(len(leaves) - 1), leaves)


def _categories(
    context: Context, model: Any, settings: Mapping[str, str], X: Tensor | Frame
) -> dict[int, list[Any]]:
    """Return the categories of the columns that had pandas' category dtype, by position."""
    pandas_categories = model.booster_.pandas_categorical
    if not pandas_categories:
        return {}
    inputs = frame_of(X).columns
    columns = [i for i, column in enumerate(inputs) if context.has_category_dtype(*column)]
    if len(columns) == len(pandas_categories):
        return dict(zip(columns, pandas_categories, strict=True))
    # The columns come from a step with pandas output: text and category sets give them away.
    described = settings["feature_infos"].split()
    columns = [
        i
        for i, (tensor, _) in enumerate(inputs)
        if tensor.is_string or (described[i] != "none" and not described[i].startswith("["))
    ]
    if len(columns) != len(pandas_categories):
        raise context.refuse(
            f"{len(pandas_categories)} columns had the dtype category in training, but the model "
            f"tells {len(columns)} of them apart; drop columns that are constant"
        )
    return dict(zip(columns, pandas_categories, strict=True))


_OUTPUTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys(("poisson", "gamma", "tweedie"), ops.exp),
    "cross_entropy": ops.sigmoid,
    "cross_entropy_lambda": ops.softplus,
    "multiclass": ops.softmax,
}


def _output(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """``Booster.predict``: the objective's ConvertOutput of the raw sums."""
    raw: Tensor = _decision(context, model, X)
    if _custom(model):
        return raw
    header = _fields(model.booster_.model_to_string(num_iteration=1).split("\nTree=")[0])
    name, *settings = header["objective"].split()
    if name in ("binary", "multiclassova"):
        sigmoid = next(float(s[8:]) for s in settings if s.startswith("sigmoid:"))
        return ops.sigmoid(raw * sigmoid)
    if "sqrt" in settings:
        return ops.sign(raw) * raw * raw
    return _OUTPUTS[name](raw) if name in _OUTPUTS else raw


@on_frame
def _prediction(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return _output(context, model, X)


@on_frame
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    answer = _output(context, model, X)
    return ops.stack([1.0 - answer, answer]) if answer.ndim == 1 and not _custom(model) else answer


@on_frame
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    chances: Tensor = _probabilities(context, model, X)
    if _custom(model):
        return chances
    return context.labels(model.classes_, ops.argmax(chances, 1))


@on_frame
def _decision(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    raw = _raw(context, model, X)
    return ops.squeeze(raw, 1) if raw.width == 1 else raw


def _custom(model: Any) -> bool:
    """Whether the objective is the user's own function: LightGBM then answers with raw sums."""
    return callable(model.objective_)


CONVERTERS: dict[type, Methods] = {
    lightgbm.LGBMRegressor: {"predict": _prediction},
    lightgbm.LGBMRanker: {"predict": _prediction},
    lightgbm.LGBMClassifier: {
        "predict": _label,
        "predict_proba": _probabilities,
        "decision_function": _decision,
    },
}
