"""Choose the fastest query that predicts the golden rows exactly as the whole graph does.

- Prune the nodes that only other outputs need: logistic regression predicts labels in 2.6 us
  instead of 4.2 (measured, 20 columns, onnxruntime 1.32); see ``prune_outputs``.
- Compute a forest's label by packed votes, 3.8 us instead of 7.8 (100 trees of depth 8); see
  ``packed_votes``.
- Let finite predictions prove that the inputs were finite; see ``finite_check``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_runtime.engine.optimize.finite_check import check_finite_proof
from edge_runtime.engine.optimize.prune_outputs import prune_outputs
from edge_runtime.engine.outputs import to_trained_dtype
from edge_runtime.engine.query import Feeds, GraphQuery
from edge_runtime.errors import (
    InferenceError,
    InputError,
    NotEnoughMemoryError,
    UnsupportedRuntimeError,
)
from edge_runtime.graph_safety.onnx_graph import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engine.selection import AnySession

OpenSession: TypeAlias = "Callable[[bytes], AnySession]"

__all__ = ["MAX_UNDECIDED", "fastest_query"]

MAX_UNDECIDED = 1 / 4
"""Largest share of the golden rows that packed votes may leave undecided.  Running both graphs
takes 1.5 times as long, so packed votes would not pay from a half on."""


_REFUSALS = (
    UnsupportedRuntimeError,
    InferenceError,
    InputError,
    NotEnoughMemoryError,
    MemoryError,
)


def fastest_query(
    whole: GraphQuery,
    graph: bytes,
    main: Scope,
    golden: tuple[Feeds, int],
    open_session: OpenSession,
) -> GraphQuery:
    """Find the fastest query that predicts as *whole* does.

    Parameters
    ----------
    whole
        The query that runs the whole graph.
    graph
        The ModelProto that it runs, which the scan has accepted.
    main
        Its main graph.
    golden
        Inputs and number of the golden rows, which decide whether a faster query is right.
    open_session
        Makes a session for a graph, of the engine of *whole*.
    """
    optimizations = [_pruned] if len(whole.outputs) > 1 else [_pruned, _with_packed_votes]
    best = whole
    for optimize in optimizations:
        try:
            candidate = optimize(best, graph, main, golden[0], open_session)
            if candidate is not None and _predicts_alike(candidate, best, golden):
                best = candidate
        # The whole graph is proven right already: a failure here costs nothing but speed.
        except _REFUSALS:
            continue
    return best if len(best.outputs) > 1 else _with_finite_proof(best, main)


def _pruned(
    whole: GraphQuery, graph: bytes, main: Scope, _: Feeds, open_session: OpenSession
) -> GraphQuery | None:
    pruned = prune_outputs(graph, main, whole.names)
    if pruned is None:
        return None
    tables = tuple(
        None if labels is None else to_trained_dtype(labels, output, len(labels))
        for labels, output in zip(pruned.labels, whole.outputs, strict=True)
    )
    session = open_session(pruned.graph)
    return GraphQuery(session, whole.outputs, list(pruned.names), tables, pruned.squeezed)


def _with_packed_votes(
    query: GraphQuery, graph: bytes, main: Scope, golden: Feeds, open_session: OpenSession
) -> GraphQuery | None:
    if all(node.op != b"TreeEnsemble" for node in main.nodes):
        return None
    from edge_runtime.engine.optimize.packed_votes import UNDECIDED, PackedVotesSession
    from edge_runtime.engine.optimize.packed_votes_graph import pack_votes_graph

    packed = pack_votes_graph(graph, main, query.names[0])
    if packed is None:
        return None
    sums = open_session(packed.graph)
    positions = packed.votes.positions(sums.run([packed.name], golden)[0][:, 0])
    if (positions == UNDECIDED).mean() > MAX_UNDECIDED:
        return None
    session = PackedVotesSession(sums, packed.name, packed.votes, query.session)
    return GraphQuery(session, query.outputs, query.names, query.labels, query.squeezed)


def _with_finite_proof(query: GraphQuery, main: Scope) -> GraphQuery:
    facts = check_finite_proof(main, query.outputs[0].name)
    return GraphQuery(
        query.session, query.outputs, query.names, query.labels, query.squeezed, *facts
    )


def _predicts_alike(candidate: GraphQuery, query: GraphQuery, golden: tuple[Feeds, int]) -> bool:
    """Compare bit by bit: the engine may order the arithmetic of another graph differently."""
    return all(map(_is_identical, candidate.predict(*golden), query.predict(*golden)))


def _is_identical(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    # The bytes of an array of objects are addresses.
    return a.tolist() == b.tolist() if a.dtype.kind == "O" else a.tobytes() == b.tobytes()
