"""CatBoost's scikit-learn estimators on numeric columns, from the JSON that a model saves.

Borders are float32 and a value above one goes right; a symmetric tree asks the same question at
every node of a level, so its leaf's number is made of the answers' bits.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import catboost
import numpy as np
from numpy.typing import NDArray

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.trees.ensemble import Forest, float32_splits, join_forests, sum_rows

__all__ = ["CONVERTERS"]

_Splits = list[Mapping[str, Any]]


def _raw(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    """RawFormulaVal, shape (n_samples, n_dimensions)."""
    return context.cached(model, "raw", X, lambda: _raw_sum(context, model, X))  # type: ignore[no-any-return]


def _raw_sum(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    saved = _saved(model)
    info = saved["features_info"]
    if info.get("categorical_features") or info.get("text_features"):
        raise context.refuse(
            "cat_features, text_features: their statistics are not converted; encode the columns "
            "before CatBoost, e.g. with OneHotEncoder or TargetEncoder"
        )
    features = {f["feature_index"]: f for f in info["float_features"]}
    scale, bias = saved["scale_and_bias"]
    bias = np.atleast_1d(np.asarray(bias, dtype=np.float64))
    if "oblivious_trees" in saved:
        parts = [_symmetric(tree, features, len(bias)) for tree in saved["oblivious_trees"]]
    else:
        parts = [_nested(tree, features, len(bias)) for tree in saved["trees"]]
    forest = join_forests([forest for forest, _ in parts])
    total = sum_rows(context.matrix(X), forest, np.concatenate([values for _, values in parts]))
    return total * float(scale) + bias


def _saved(model: Any) -> Any:
    """The model's own JSON, which CatBoost writes to files only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return json.loads(path.read_text(encoding="utf-8"))


def _split_rules(
    splits: _Splits, features: Mapping[int, Any]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Column, threshold and where NaN goes, of every split."""
    split_features = [features[split["float_feature_index"]] for split in splits]
    return (
        np.array([feature["flat_feature_index"] for feature in split_features], dtype=np.int64),
        float32_splits(np.array([split["border"] for split in splits], dtype=np.float32)),
        np.array(
            [feature["nan_value_treatment"] != "AsTrue" for feature in split_features],
            dtype=np.bool_,
        ),
    )


def _symmetric(
    tree: Mapping[str, Any], features: Mapping[int, Any], n_dimensions: int
) -> tuple[Forest, NDArray[np.float64]]:
    """A complete binary tree, level by level; the first split is the leaf number's lowest bit."""
    splits: _Splits = tree["splits"] or []
    depth = len(splits)
    column, threshold, missing_left = _split_rules(splits, features)
    n_inner = 2**depth - 1
    level = np.repeat(np.arange(depth), 2 ** np.arange(depth))
    leaf = np.full(n_inner + 1, -1, dtype=np.int64)
    inner = np.arange(n_inner)
    place = np.zeros(n_inner + 1, dtype=np.int64)
    for bit in range(depth):
        place |= ((np.arange(n_inner + 1) >> bit) & 1) << (depth - 1 - bit)
    values = np.zeros((2 * n_inner + 1, n_dimensions))
    values[n_inner:] = np.reshape(tree["leaf_values"], (n_inner + 1, n_dimensions))[place]
    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=np.append(column[level], np.zeros_like(leaf)),
        threshold=np.append(threshold[level], np.zeros(n_inner + 1)),
        left=np.append(2 * inner + 1, leaf),
        right=np.append(2 * inner + 2, leaf),
        missing_left=np.append(missing_left[level], leaf > 0),
    ), values


def _nested(
    tree: Mapping[str, Any], features: Mapping[int, Any], n_dimensions: int
) -> tuple[Forest, NDArray[np.float64]]:
    """A tree of nested nodes (grow_policy Depthwise or Lossguide)."""
    nodes: list[Mapping[str, Any]] = [tree]
    children: list[tuple[int, int]] = []
    for node in nodes:  # it grows while it is read
        if "split" in node:
            children.append((len(nodes), len(nodes) + 1))
            nodes += [node["left"], node["right"]]
        else:
            children.append((-1, -1))
    links = np.array(children, dtype=np.int64)
    splits = np.flatnonzero(links[:, 0] >= 0)
    feature, threshold = np.zeros(len(nodes), dtype=np.int64), np.zeros(len(nodes))
    missing_left = np.zeros(len(nodes), dtype=np.bool_)
    feature[splits], threshold[splits], missing_left[splits] = _split_rules(
        [nodes[i]["split"] for i in splits], features
    )
    values = np.zeros((len(nodes), n_dimensions))
    for i in np.flatnonzero(links[:, 0] < 0):
        values[i] = nodes[i]["value"]
    return Forest(
        roots=np.zeros(1, dtype=np.int64),
        feature=feature,
        threshold=threshold,
        left=links[:, 0],
        right=links[:, 1],
        missing_left=missing_left,
    ), values


def _loss(model: Any) -> str:
    return str(model.get_all_params()["loss_function"]).split(":")[0]


@on_frame
def _prediction(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    kind = model._get_default_prediction_type()
    if kind not in ("RawFormulaVal", "Exponent"):
        raise context.refuse(f"loss_function={_loss(model)!r}: it answers with a {kind}")
    raw = _raw(context, model, X)
    raw = ops.squeeze(raw, 1) if raw.width == 1 else raw
    return ops.exp(raw) if kind == "Exponent" else raw


@on_frame
def _rank(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    return ops.squeeze(_raw(context, model, X), 1)


@on_frame
def _probabilities(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    raw = _raw(context, model, X)
    loss = _loss(model)
    if loss in ("Logloss", "CrossEntropy"):
        second = ops.sigmoid(raw)
        return ops.concatenate([1.0 - second, second], 1)
    if loss == "MultiClass":
        return ops.softmax(raw)
    if loss == "MultiClassOneVsAll":
        return ops.sigmoid(raw)
    raise context.refuse(f"loss_function={loss!r} is not converted; use Logloss or MultiClass")


@on_frame
def _label(context: Context, model: Any, X: Tensor | Frame) -> Tensor:
    raw = _raw(context, model, X)
    if raw.width == 1:
        return context.labels(model.classes_, ops.squeeze((raw > 0).astype(np.int64), 1))
    return context.labels(model.classes_, ops.argmax(raw, 1, keepdims=True))


CONVERTERS: dict[type, Methods] = {
    catboost.CatBoostRegressor: {"predict": _prediction},
    catboost.CatBoostRanker: {"predict": _rank},
    catboost.CatBoostClassifier: {"predict": _label, "predict_proba": _probabilities},
}
