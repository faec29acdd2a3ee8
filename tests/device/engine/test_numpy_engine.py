"""The numpy engine refuses the graphs that onnxruntime refuses, with an error of ours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from device import hostile
from device.hostile import TREE_OPSETS, node, strings, with_opsets
from device.tiny_onnx import tensor
from edge_runtime.engine.numpy_engine.session import NumpySession
from edge_runtime.errors import UnsupportedRuntimeError


def load(nodes: Sequence[bytes], **arrays: Any) -> None:
    """Load a graph of *nodes* that reads ``numbers`` and gives ``x``."""
    body = hostile.graph(
        nodes,
        inputs=[("numbers", "float64", [None, 3])],
        outputs=[("x", "float64", [None, None])],
        initializers=[tensor(name, np.asarray(value)) for name, value in arrays.items()],
    )
    NumpySession(with_opsets(body, TREE_OPSETS))


def encoder(*attributes: bytes) -> bytes:
    return node("LabelEncoder", ["numbers"], ["x"], *attributes, domain="ai.onnx.ml")


@pytest.mark.parametrize(
    ("bad", "arrays"),
    [
        (node("Range", ["a", "b", "c"], ["x"]), {"a": 0.0, "b": 1e18, "c": 1e-300}),
        (node("Range", ["a", "b", "c"], ["x"]), {"a": 0.0, "b": 5.0, "c": 0.0}),
        (node("Range", ["a", "b", "c"], ["x"]), {"a": 0.0, "b": 5.0, "c": np.nan}),
        (node("ConstantOfShape", ["a"], ["x"]), {"a": [-4]}),
        (node("ConstantOfShape", ["a"], ["x"]), {"a": [2**62]}),
        (encoder(strings("keys_strings", ["a", "b"]), strings("values_strings", ["x"])), {}),
        (encoder(strings("keys_strings", ["a"])), {}),
        (encoder(strings("values_strings", ["a"])), {}),
    ],
)
def test_constants_that_no_operator_can_use_are_refused_at_load(
    bad: bytes, arrays: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedRuntimeError, match="numpy engine cannot run this graph"):
        load([bad], **arrays)


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"nodes_featureids": [-1]}, "negative feature"),
        ({"nodes_featureids": [0] * 9}, "different lengths"),
        ({"nodes_featureids": []}, "different lengths"),
        ({"leaf_targetids": [1]}, "target does not exist"),
        ({"leaf_targetids": [-1]}, "target does not exist"),
        ({"nodes_missing_value_tracks_true": [1] * 9}, "different lengths"),
        ({"modes": [200]}, "unknown mode"),
    ],
)
def test_trees_whose_lists_contradict_each_other_are_refused(
    lists: dict[str, list[int]], words: str
) -> None:
    """numpy would count a negative feature from the last column, and predict something else."""
    ensemble = hostile.trees([0], [1], **lists)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedRuntimeError, match=words):
        load([ensemble, node("Identity", ["score"], ["x"])])


def test_a_healthy_ensemble_loads() -> None:
    load([hostile.trees([0], [1]), node("Identity", ["score"], ["x"])])
