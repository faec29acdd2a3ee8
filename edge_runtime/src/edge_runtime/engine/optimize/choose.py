"""A question in, the same in its quickest form out; each form has answered the golden rows alike.

- Without the nodes that only other outputs need: logistic regression answers labels in 2.6 us
  instead of 4.2 (measured, 20 columns, onnxruntime 1.32).  See the module ``narrowing``.
- A forest's label by packed votes, 3.8 us instead of 7.8 (100 trees of depth 8).  See ``tally``.
- With what finite answers prove of the cells.  See ``witness``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_runtime.engine.optimize.finite_check import check_finite_proof
from edge_runtime.engine.optimize.prune_outputs import prune_outputs
from edge_runtime.engine.outputs import as_trained
from edge_runtime.engine.query import Feeds, GraphQuery
from edge_runtime.engine.session import Session
from edge_runtime.errors import (
    InferenceError,
    InputError,
    NotEnoughMemoryError,
    UnsupportedRuntimeError,
)
from edge_runtime.graph_safety.onnx_reader import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_OPEN", "fastest_query"]

MOST_OPEN = 1 / 4
"""Share of the golden rows that packed votes may leave open: asking twice costs 1.5 times as much,
so from a half on they would not pay."""


_REFUSALS = (
    UnsupportedRuntimeError,
    InferenceError,
    InputError,
    NotEnoughMemoryError,
    MemoryError,
)


def fastest_query(
    whole: GraphQuery, graph: bytes, main: Scope, golden: tuple[Feeds, int], *, threads: int
) -> GraphQuery:
    """*whole* in the quickest form that answers as it does.

    Parameters
    ----------
    graph
        The ModelProto that it asks, which the scan has let pass.
    main
        Its main graph.
    golden
        Rows that decide whether a form is taken, and how many.
    threads
        Threads that one call may use.
    """
    ways = [_narrowed] if len(whole.outputs) > 1 else [_narrowed, _tallied]
    found = whole
    for way in ways:
        try:
            form = way(found, graph, main, golden[0], threads)
            if form is not None and _answers_alike(form, found, golden):
                found = form
        # The whole graph has proven itself: nothing is lost but speed.
        except _REFUSALS:
            continue
    return found if len(found.outputs) > 1 else _witnessed(found, main)


def _narrowed(
    whole: GraphQuery, graph: bytes, main: Scope, _: Feeds, threads: int
) -> GraphQuery | None:
    found = prune_outputs(graph, main, whole.names)
    if found is None:
        return None
    tables = tuple(
        None if labels is None else as_trained(labels, output, len(labels))
        for labels, output in zip(found.labels, whole.outputs, strict=True)
    )
    session = Session(found.graph, threads=threads)
    return GraphQuery(session, whole.outputs, list(found.names), tables, found.squeezed)


def _tallied(
    question: GraphQuery, graph: bytes, main: Scope, rows: Feeds, threads: int
) -> GraphQuery | None:
    if all(node.op != b"TreeEnsemble" for node in main.nodes):
        return None
    from edge_runtime.engine.optimize.packed_votes import OPEN, PackedVotesSession
    from edge_runtime.engine.optimize.packed_votes_graph import pack_votes_graph

    found = pack_votes_graph(graph, main, question.names[0])
    if found is None:
        return None
    sums = Session(found.graph, threads=threads)
    opened = found.tally.positions(sums.run([found.name], rows)[0][:, 0]) == OPEN
    if opened.mean() > MOST_OPEN:
        return None
    session = PackedVotesSession(sums, found.name, found.tally, question.session)
    return GraphQuery(session, question.outputs, question.names, question.labels, question.squeezed)


def _witnessed(question: GraphQuery, main: Scope) -> GraphQuery:
    told = check_finite_proof(main, question.outputs[0].name)
    q = question
    return GraphQuery(q.session, q.outputs, q.names, q.labels, q.squeezed, *told)


def _answers_alike(form: GraphQuery, question: GraphQuery, golden: tuple[Feeds, int]) -> bool:
    """To the last bit: onnxruntime may order the arithmetic of another graph otherwise."""
    feeds, n_rows = golden
    ours, theirs = (q.answers(q.ask(feeds), n_rows) for q in (form, question))
    return all(map(_is_same, ours, theirs))


def _is_same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    # The bytes of an array of objects are addresses.
    return a.tolist() == b.tolist() if a.dtype.kind == "O" else a.tobytes() == b.tobytes()
