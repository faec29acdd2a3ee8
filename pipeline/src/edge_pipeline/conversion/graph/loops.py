"""Loops in the graph: a function of each row of a tensor, and a step repeated until it settles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.tensor import Tensor, graph_of

__all__ = ["iterate", "map_rows"]


def map_rows(
    X: Tensor, function: Callable[[Graph, Tensor], Tensor], *, graph: Graph | None = None
) -> Tensor:
    """*function* of each row of *X* alone, the answers stacked along a new first axis.

    *X* has a static number of rows, or as many as the model is asked for.

    A Loop, not a Scan: onnxruntime's Scan (1.28 to 1.32) fails on zero rows, and the device's scan
    refuses it.

    Parameters
    ----------
    function
        Receives the body's graph and one row, shape ``X.shape[1:]``; its answer has a static shape.
        It may use tensors of the enclosing graphs.
    graph
        Where the loop stands, when that is the body of another loop; by default where *X* is.
    """
    results: list[Tensor] = []

    def build(inner: Graph) -> None:
        position = inner.input(inner.fresh("row"), np.int64, ())
        going = inner.input(inner.fresh("going"), np.bool_, ())
        x = inner.node("Gather", X, position, axis=0, dtype=X.dtype, shape=X.shape[1:])
        results.append(function(inner, x))
        inner.output(inner.fresh("going"), going)
        inner.output(inner.fresh("answer"), results[0])

    outer = graph or X.graph
    body = outer.body(build)
    count = outer.row_count() if X.shape[0] is None else outer.constant(X.shape[0], np.int64)
    shape = (X.shape[0], *results[0].shape)
    return outer.node("Loop", count, None, body=body, dtype=results[0].dtype, shape=shape)


def iterate(
    start: Sequence[Tensor],
    step: Callable[[Graph, Tensor, Sequence[Tensor]], tuple[Sequence[Tensor], Tensor | None]],
    *,
    limit: int,
) -> tuple[Tensor, ...]:
    """Repeat *step* on the state *start*, at most *limit* times.

    Parameters
    ----------
    step
        Receives the body's graph, the number of steps done (int64, no dimension) and the state;
        answers with the next state, of the same shapes, and whether to go on (bool, no dimension;
        None: always).  For an answer that is a function of one row, hold still the rows that have
        settled.
    limit
        At least 1.
    """
    graph = graph_of(*start)

    def build(inner: Graph) -> None:
        step_number = inner.input(inner.fresh("done"), np.int64, ())
        going = inner.input(inner.fresh("going"), np.bool_, ())
        state = [inner.input(inner.fresh("state"), s.dtype, s.shape) for s in start]
        after, more = step(inner, step_number, state)
        inner.output(inner.fresh("going"), going if more is None else more)
        for tensor in after:
            inner.output(inner.fresh("state"), tensor)

    return graph.nodes(
        "Loop",
        [np.array(limit, dtype=np.int64), None, *start],
        [(s.dtype, s.shape) for s in start],
        body=graph.body(build),
    )
