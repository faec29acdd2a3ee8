"""Healthy models for the tests: a graph, its manifest, and the same arithmetic in numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from device.tiny_onnx import Graph
from edge_runtime.bundle.layout import pack
from edge_runtime.bundle.manifest import (
    GoldenRows,
    Manifest,
    Output,
    OutputEvidence,
    Parity,
    Requirements,
)
from edge_runtime.bundle.schema import MISSING_STRING, Column, Schema

WEIGHTS = np.array([[1.0, -2.0, 0.5], [0.25, 1.5, -1.0], [-0.75, 0.5, 2.0]])
BIAS = np.array([0.1, -0.2, 0.3])
LABELS = ("Adelie", "Chinstrap", "Gentoo")


@dataclass(frozen=True)
class Parts:
    """The parts of a bundle."""

    graph: bytes
    manifest: Manifest

    def sealed(self, **changes: Any) -> bytes:
        """Seal the parts, with fields of the manifest changed."""
        return pack(self.graph, replace(self.manifest, **changes))


def manifest(
    schema: Schema,
    outputs: Sequence[tuple[str, str, int | None]],
    rows: Sequence[Sequence[Any]],
    answers: Mapping[str, Any],
    **more: Any,
) -> Manifest:
    described = tuple(Output(name, name.partition(".")[0], kind, i) for name, kind, i in outputs)
    return Manifest(
        name="tiny",
        task="classification",
        estimator="Tiny()",
        schema=schema,
        outputs=described,
        parity=Parity(1e-9, {o.name: OutputEvidence(9, 0, 0.0) for o in described}),
        golden=GoldenRows(tuple(map(tuple, rows)), answers),
        requires=Requirements({"": 21}, "1.28"),
        **more,
    )


def scores(X: Any) -> Any:
    return np.asarray(X, dtype=np.float64) @ WEIGHTS + BIAS


def probabilities(X: Any) -> Any:
    e = np.exp(scores(X) - scores(X).max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def labels(X: Any, names: Sequence[Any] = LABELS) -> Any:
    return np.array(names)[scores(X).argmax(axis=1)]


def classifier(names: Sequence[Any] = LABELS, kind: str = "array") -> Parts:
    """Three numbers; predict, predict_proba and decision_function."""
    label_type = "string" if isinstance(names[0], str) else np.asarray(names).dtype.name
    graph = Graph(
        [("numbers", "float64", [None, 3])],
        [
            ("predict", label_type, [None]),
            ("predict_proba", "float64", [None, 3]),
            ("decision_function", "float64", [None, 3]),
        ],
        {"W": WEIGHTS, "b": BIAS, "labels": np.array(names)},
    )
    graph.node("MatMul", ["numbers", "W"], "s").node("Add", ["s", "b"], "decision_function")
    graph.node("Softmax", ["decision_function"], "predict_proba", axis=1)
    graph.node("ArgMax", ["decision_function"], "winner", axis=1, keepdims=0)
    graph.node("Gather", ["labels", "winner"], "predict")
    X = [[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [4.0, 0.0, -2.0]]
    columns = tuple(Column(f"x{i}", "float64", minimum=-1.0, maximum=4.0) for i in range(3))
    dtype = "<U9" if label_type == "string" else label_type
    return Parts(
        graph.to_bytes(),
        manifest(
            Schema(kind, columns),  # type: ignore[arg-type]
            [
                ("predict", dtype, None),
                ("predict_proba", "float64", None),
                ("decision_function", "float64", None),
            ],
            X,
            {
                "predict": labels(X, names).tolist(),
                "predict_proba": probabilities(X).tolist(),
                "decision_function": scores(X).tolist(),
            },
            classes={"predict": list(names)},
        ),
    )


COEFFICIENTS = np.array([[2.0], [0.0], [-0.5]])


def regressor(*, gaps: bool = False) -> Parts:
    """Three numbers, one with the coefficient 0; predict squeezes a column to a vector."""
    graph = Graph(
        [("numbers", "float64", [None, 3])],
        [("predict", "float64", [None])],
        {"W": COEFFICIENTS, "b": np.array([1.0]), "axis": np.array([1])},
    )
    graph.node("MatMul", ["numbers", "W"], "s").node("Add", ["s", "b"], "column")
    graph.node("Squeeze", ["column", "axis"], "predict")
    rows = [[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]]
    columns = tuple(Column(f"x{i}", "float64", missing=gaps) for i in range(3))
    answers = {"predict": (np.array(rows) @ COEFFICIENTS + 1.0)[:, 0].tolist()}
    return Parts(
        graph.to_bytes(),
        manifest(Schema("array", columns), [("predict", "float64", None)], rows, answers),
    )


MIXED = (
    Column("height", "float64", missing=True),
    Column("city", "string", missing=True, categories=("Oslo", "Paris")),
    Column("children", "int64"),
    Column("smoker", "bool"),
    Column("street", "string"),
)


def mixed_answer(rows: Sequence[Sequence[Any]]) -> Any:
    """Add height (0 if missing), 10 children, 100 smoker, 1000 Paris, 5000 missing city."""
    predictions = []
    for height, city, children, smoker, _ in rows:
        height_or_zero = 0.0 if height is None or height != height else height
        place = 1000.0 if city == "Paris" else 5000.0 if city is None else 0.0
        predictions.append(height_or_zero + 10.0 * children + 100.0 * smoker + place)
    return np.array(predictions)


def mixed() -> Parts:
    """Numbers and strings, with missing values; predict is a number."""
    graph = Graph(
        [("numbers", "float64", [None, 3]), ("strings", "string", [None, 2])],
        [("predict", "float64", [None])],
        {
            "zero": np.array(0.0),
            "w": np.array([1.0, 10.0, 100.0]),
            "places": np.array(["Paris", MISSING_STRING]),
            "worth": np.array([1000.0, 5000.0]),
            "first": np.array([0]),
            "last": np.array([1]),
        },
    )
    graph.node("IsNaN", ["numbers"], "gap").node("Where", ["gap", "zero", "numbers"], "known")
    graph.node("MatMul", ["known", "w"], "sum")
    graph.node("Gather", ["strings", "first"], "city", axis=1)
    graph.node("Equal", ["city", "places"], "same").node("Cast", ["same"], "hit", to=11)
    graph.node("MatMul", ["hit", "worth"], "place").node("Add", ["sum", "place"], "predict")
    rows = [
        (1.5, "Paris", 2, True, "Rue A"),
        ("nan", None, 0, False, "Veien 1"),
        (1.8, "elsewhere", 1, False, ""),
    ]
    typed_rows = [(float(h), *other_cells) for h, *other_cells in rows]
    return Parts(
        graph.to_bytes(),
        manifest(
            Schema("table", MIXED),
            [("predict", "float64", None)],
            rows,
            {"predict": mixed_answer(typed_rows).tolist()},
        ),
    )


def text() -> Parts:
    """One text a row: 1 when it is "spam", else 0."""
    graph = Graph(
        [("strings", "string", [None, 1])],
        [("predict", "int64", [None])],
        {"spam": np.array(["spam"]), "flat": np.array([-1])},
    )
    graph.node("Equal", ["strings", "spam"], "same").node("Cast", ["same"], "hit", to=7)
    graph.node("Reshape", ["hit", "flat"], "predict")
    schema = Schema("text", (Column("text", "string"),))
    return Parts(
        graph.to_bytes(),
        manifest(schema, [("predict", "int64", None)], [["spam"], ["ham"]], {"predict": [1, 0]}),
    )


def two_targets() -> Parts:
    """predict (n, 2), and predict_proba as a list of two arrays."""
    graph = Graph(
        [("numbers", "float64", [None, 3])],
        [
            ("predict", "float64", [None, 2]),
            ("predict_proba.0", "float64", [None, 3]),
            ("predict_proba.1", "float64", [None, 3]),
        ],
        {"W": WEIGHTS, "two": np.array([0, 1])},
    )
    graph.node("MatMul", ["numbers", "W"], "s").node("Gather", ["s", "two"], "predict", axis=1)
    graph.node("Softmax", ["s"], "predict_proba.0", axis=1)
    graph.node("Softmax", ["numbers"], "predict_proba.1", axis=1)
    columns = tuple(Column(name, "float64") for name in "abc")
    outputs = [
        ("predict", "float64", None),
        ("predict_proba.1", "float64", 1),
        ("predict_proba.0", "float64", 0),
    ]
    labels_of = {"predict": [["u", "v", "w"], [False, True, 7]]}
    return Parts(
        graph.to_bytes(), manifest(Schema("table", columns), outputs, [], {}, classes=labels_of)
    )


def transformer() -> Parts:
    """Only transform; it gives float32."""
    graph = Graph(
        [("numbers", "float64", [None, 3])], [("transform", "float32", [None, 3])], {"W": WEIGHTS}
    )
    graph.node("MatMul", ["numbers", "W"], "s").node("Cast", ["s"], "transform", to=1)
    columns = tuple(Column(name, "float64") for name in "abc")
    return Parts(
        graph.to_bytes(),
        manifest(Schema("table", columns), [("transform", "float32", None)], [], {}),
    )
