"""Write hostile graphs byte by byte, and a manifest that fits them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from device.models import manifest
from device.tiny_onnx import integer, message, tensor, value_info
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Column, Schema

IDENTITY_OUTPUT = ("predict", "float64", [None, 3])
ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def node(
    op: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *attributes: bytes,
    domain: str = "",
    more: bytes = b"",
) -> bytes:
    out = b"".join(message(1, name) for name in inputs)
    out += b"".join(message(2, name) for name in outputs)
    out += message(4, op) + b"".join(message(5, attribute) for attribute in attributes)
    return out + (message(7, domain) if domain else b"") + more


def ints(name: str, values: Sequence[int]) -> bytes:
    return message(1, name) + b"".join(integer(8, v) for v in values) + integer(20, 7)


def strings(name: str, values: Sequence[str]) -> bytes:
    return message(1, name) + b"".join(message(9, v) for v in values) + integer(20, 8)


def number(name: str, value: int) -> bytes:
    return message(1, name) + integer(3, value) + integer(20, 2)


def stored(name: str, value: Any) -> bytes:
    return message(1, name) + message(5, tensor("", value)) + integer(20, 4)


def subgraph(name: str, graph: bytes) -> bytes:
    return message(1, name) + message(6, graph) + integer(20, 5)


def graph(
    nodes: Sequence[bytes],
    *,
    inputs: Sequence[tuple[str, str, list[int | None]]] = (),
    outputs: Sequence[tuple[str, str, list[int | None]]] = (),
    initializers: Sequence[bytes] = (),
    more: bytes = b"",
) -> bytes:
    out = b"".join(message(1, n) for n in nodes) + message(2, "g")
    out += b"".join(message(5, t) for t in initializers)
    out += b"".join(message(11, value_info(*i)) for i in inputs)
    return out + b"".join(message(12, value_info(*o)) for o in outputs) + more


def model(
    nodes: Sequence[bytes] = (),
    *,
    initializers: Sequence[bytes] = (),
    outputs: Sequence[tuple[str, str, list[int | None]]] = (IDENTITY_OUTPUT,),
    inputs: Sequence[tuple[str, str, list[int | None]]] = (("numbers", "float64", [None, 3]),),
    opsets: Sequence[tuple[str, int]] = (("", 21),),
    more_graph: bytes = b"",
    more: bytes = b"",
) -> bytes:
    """A model whose graph hands ``numbers`` on as ``predict``, besides *nodes*."""
    every = [*nodes, node("Identity", ["numbers"], ["predict"])]
    body = graph(every, inputs=inputs, outputs=outputs, initializers=initializers, more=more_graph)
    return with_opsets(body, opsets) + more


def with_opsets(body: bytes, opsets: Sequence[tuple[str, int]]) -> bytes:
    """A model of the graph *body*."""
    opset_fields = b"".join(message(8, message(1, d) + integer(2, v)) for d, v in opsets)
    return integer(1, 10) + opset_fields + message(7, body)


def described(opsets: Sequence[tuple[str, int]] = (("", 21),)) -> Manifest:
    """A manifest that fits :func:`model`."""
    from dataclasses import replace

    from edge_runtime.bundle.manifest import Requirements

    columns = tuple(Column(name, "float64") for name in "abc")
    described_manifest = manifest(
        Schema("array", columns), [("predict", "float64", None)], ROWS, {"predict": ROWS}
    )
    return replace(
        described_manifest, task="transform", requires=Requirements(dict(opsets), "1.28")
    )


def loop(steps: str, body: bytes, *, to: str = "looped") -> bytes:
    return node("Loop", [steps, ""], [to], subgraph("body", body))


def body(*nodes: bytes, state: str = "", out: str = "i") -> bytes:
    """The body of a loop: hands its condition on and collects *out* of every step."""
    return graph(
        [
            *nodes,
            node("Identity", [f"go{state}"], [f"on{state}"]),
            node("Identity", [out if out != "i" else f"i{state}"], [f"o{state}"]),
        ],
        inputs=[(f"i{state}", "int64", []), (f"go{state}", "bool", [])],
        outputs=[(f"on{state}", "bool", []), (f"o{state}", "int64", [])],
    )


def trees(
    true: Sequence[int],
    true_leaf: Sequence[int],
    *,
    modes: Sequence[int] = (),
    members: Sequence[float] = (),
    splits: Any = None,
    **lists: Sequence[int],
) -> bytes:
    """A TreeEnsemble (opset 5) whose false branches are the only leaf."""
    n = len(true)
    sets = [stored("membership_values", np.array(members))] if members else []
    lists_by_name = {
        "nodes_featureids": [0] * n,
        "nodes_truenodeids": true,
        "nodes_trueleafs": true_leaf,
        "nodes_falsenodeids": [0] * n,
        "nodes_falseleafs": [1] * n,
        "leaf_targetids": [0],
        "tree_roots": [0],
        **lists,
    }
    return node(
        "TreeEnsemble",
        ["numbers"],
        ["score"],
        *(ints(name, values) for name, values in lists_by_name.items()),
        number("n_targets", 1),
        number("aggregate_function", 1),
        stored("nodes_modes", np.array(modes or [0] * n, dtype=np.uint8)),
        *sets,
        stored("nodes_splits", np.full(n, 1e300) if splits is None else splits),
        stored("leaf_weights", np.array([1.0])),
        domain="ai.onnx.ml",
    )


TREE_OPSETS = (("", 21), ("ai.onnx.ml", 5))
