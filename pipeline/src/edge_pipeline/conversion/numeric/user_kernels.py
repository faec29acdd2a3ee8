"""Pairwise kernels by name, and those that a user's function of two rows computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import map_rows
from edge_pipeline.conversion.graph.tensor import Tensor, graph_of
from edge_pipeline.conversion.numeric.pairwise import NAMED_KERNELS
from edge_pipeline.conversion.tracing.array import Tracer
from edge_pipeline.conversion.tracing.trace import call_traced

__all__ = ["pairwise_kernel", "traced_kernel"]


def pairwise_kernel(context: Context, metric: Any, X: Tensor, Y: Any, **params: Any) -> Tensor:
    """Compute a named kernel, or one that a function of two rows computes.

    The arguments are those of :func:`~edge_pipeline.conversion.numeric.kernels.kernel`.
    """
    if not isinstance(metric, str):
        return traced_kernel(context, metric, X, Y, params)
    if metric == "precomputed":
        return X
    if metric not in NAMED_KERNELS:
        raise context.refuse(
            f"kernel={metric!r}: not one of {', '.join(sorted(NAMED_KERNELS))} or precomputed"
        )
    return NAMED_KERNELS[metric](X, Y, {k: v for k, v in params.items() if v is not None})


def traced_kernel(
    context: Context, function: Any, X: Tensor, Y: Any, params: Mapping[str, Any]
) -> Tensor:
    """Trace *function* once, inside a loop over the rows of *Y* inside a loop over those of *X*."""
    rows_of_y = graph_of(X, Y).tensor(Y)
    tracer = Tracer(X, context.vector)
    name = getattr(function, "__name__", function)

    def pair(inner: Graph, x: Tensor, y: Tensor) -> Tensor:
        value = call_traced(
            context,
            tracer,
            f"the function of two rows {name!r} does what has no node",
            "write it with numpy's elementary functions, or use one by name",
            function,
            x,
            y,
            **params,
        )
        return ops.reshape(inner.tensor(value), ())

    return map_rows(
        X, lambda outer, x: map_rows(rows_of_y, lambda inner, y: pair(inner, x, y), graph=outer)
    )
