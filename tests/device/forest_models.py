"""A forest of soft votes as the converter writes it, of stumps, and its arithmetic in numpy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from device import hostile
from device.hostile import ints, node, number, stored
from device.models import Parts, manifest
from device.tiny_onnx import tensor
from edge_runtime.bundle.manifest import Requirements
from edge_runtime.bundle.schema import Column, Schema

COLUMNS = 3


@dataclass(frozen=True, eq=False)
class Stumps:
    """Trees of one split: tree *i* asks column ``i % 3``.

    Attributes
    ----------
    thresholds
        Shape (n_trees,); a value at most this goes to the first leaf.
    probabilities
        Of every leaf, shape (n_trees, 2, n_classes).
    names
        Labels of the classes.
    """

    thresholds: Any
    probabilities: Any
    names: Sequence[Any]

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.thresholds)

    def means(self, X: Any) -> Any:
        """Added up in the order of the trees, as scikit-learn does."""
        total = np.zeros((len(X), self.probabilities.shape[2]))
        for i, (threshold, leaves) in enumerate(
            zip(self.thresholds, self.probabilities, strict=True)
        ):
            total += leaves[(X[:, i % COLUMNS] > threshold).astype(int)]
        return total / self.n_trees

    def labels(self, X: Any) -> Any:
        """The class of the largest mean, the first of several."""
        return np.array(self.names)[self.means(X).argmax(axis=1)]

    def parts(self, golden: Any, changes: dict[str, bytes] | None = None) -> Parts:
        """The model; *changes* are nodes instead of those that make the value of that name."""
        nodes = {**self._nodes(), **(changes or {})}
        kind = "string" if isinstance(self.names[0], str) else "int64"
        outputs: Any = [("predict", kind, [None]), ("predict_proba", "float64", [None, None])]
        table = self.probabilities.reshape(-1, self.probabilities.shape[2])
        constants = {
            "table": table,
            "axis": np.array(1),
            "last": np.array(self.n_trees - 1),
            "n_trees": np.array(float(self.n_trees)),
            "first": np.array(0),
            "labels": np.array(self.names),
        }
        graph = hostile.graph(
            list(nodes.values()),
            inputs=[("numbers", "float64", [None, COLUMNS])],
            outputs=outputs,
            initializers=[tensor(name, value) for name, value in constants.items()],
        )
        described = manifest(
            Schema("array", tuple(Column(f"x{i}", "float64") for i in range(COLUMNS))),
            [
                ("predict", "<U9" if kind == "string" else kind, None),
                ("predict_proba", "float64", None),
            ],
            golden.tolist(),
            {"predict": self.labels(golden).tolist(), "predict_proba": self.means(golden).tolist()},
            classes={"predict": list(self.names)},
        )
        opsets = dict(hostile.TREE_OPSETS)
        return Parts(
            hostile.with_opsets(graph, hostile.TREE_OPSETS),
            replace(described, requires=Requirements(opsets, "1.28")),
        )

    def trees(self, **changes: bytes) -> bytes:
        """The ensemble; *changes* are attributes."""
        n = self.n_trees
        leaves = np.arange(2 * n)
        attributes = {
            "aggregate_function": number("aggregate_function", 1),
            "n_targets": number("n_targets", n),
            "leaf_targetids": ints("leaf_targetids", (leaves // 2).tolist()),
            "leaf_weights": stored("leaf_weights", leaves.astype(float)),
            "nodes_featureids": ints("nodes_featureids", (np.arange(n) % COLUMNS).tolist()),
            "nodes_modes": stored("nodes_modes", np.zeros(n, dtype=np.uint8)),
            "nodes_splits": stored("nodes_splits", np.asarray(self.thresholds, dtype=float)),
            "nodes_truenodeids": ints("nodes_truenodeids", leaves[::2].tolist()),
            "nodes_trueleafs": ints("nodes_trueleafs", [1] * n),
            "nodes_falsenodeids": ints("nodes_falsenodeids", leaves[1::2].tolist()),
            "nodes_falseleafs": ints("nodes_falseleafs", [1] * n),
            "tree_roots": ints("tree_roots", list(range(n))),
        }
        return node(
            "TreeEnsemble",
            ["numbers"],
            ["told"],
            *{**attributes, **changes}.values(),
            domain="ai.onnx.ml",
        )

    def _nodes(self) -> dict[str, bytes]:
        return {
            "told": self.trees(),
            "leaves": node("Cast", ["told"], ["leaves"], number("to", 7)),
            "rows": node("Gather", ["table", "leaves"], ["rows"], number("axis", 0)),
            "sums": node("CumSum", ["rows", "axis"], ["sums"]),
            "total": node("Gather", ["sums", "last"], ["total"], number("axis", 1)),
            "predict_proba": node("Div", ["total", "n_trees"], ["predict_proba"]),
            "winner": node(
                "ArgMax", ["predict_proba"], ["winner"], number("axis", 1), number("keepdims", 0)
            ),
            "predict": node("Gather", ["labels", "winner"], ["predict"]),
        }


def stumps(
    n_trees: int, names: Sequence[Any], seed: int = 0, *, parts_of: int | None = None
) -> Stumps:
    """Random ones; probabilities are multiples of ``1 / parts_of`` where that is given."""
    random = np.random.default_rng(seed)
    shape = (n_trees, 2, len(names))
    if parts_of is None:
        shares = random.random(shape)
    else:
        shares = random.multinomial(parts_of, np.full(len(names), 1 / len(names)), shape[:2])
    probabilities = shares / shares.sum(axis=2, keepdims=True)
    return Stumps(random.normal(size=n_trees), probabilities, names)
