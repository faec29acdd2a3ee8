"""A model's graph in, for each question the session that answers it out.

The whole graph is loaded first, and proves itself on the golden rows.  A question that is asked a
second time gets a quicker form; see the module ``forms``.
"""

from __future__ import annotations

from _thread import allocate_lock  # what threading.Lock is; its import takes 0.5 ms
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.manifest import Manifest, Output
from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Schema
from edge_runtime.engine.query import Feeds, GraphQuery
from edge_runtime.engine.self_test import golden_feeds
from edge_runtime.engine.session import Session
from edge_runtime.errors import IntegrityError
from edge_runtime.graph_safety.onnx_reader import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engine.optimize.packed_votes import PackedVotesSession
    from edge_runtime.inputs.derived_columns import DerivedColumns

__all__ = ["MAX_PRUNED_BYTES", "ROWS_AT_ONCE", "QueryPlanner", "join_slices"]

MAX_PRUNED_BYTES = 1 << 20
"""Largest graph that is cut: a session has a copy of its constants, and a graph beyond spends its
time on them, not on the nodes that a cut removes."""

ROWS_AT_ONCE = 4096
"""Rows of a batch that the graph sees at once: what lies between its nodes then stays in the cache.

100,000 rows of 64 columns through a neural network: 78 ms so, 230 ms in one go (measured on 2 cores
of an EPYC, onnxruntime 1.32, without its memory arena), and memory stays flat.
"""


class QueryPlanner:
    """All that a model can be asked.  Any number of threads may ask at once.

    Parameters
    ----------
    graph
        A ModelProto that the scan has let pass.
    main
        Its main graph.
    manifest
        Names the outputs, and has the golden rows.
    threads
        Threads that one call may use.

    Attributes
    ----------
    rows_at_once
        Rows of a batch that the graph sees at once.
    reads_numbers_alone
        Whether the numeric block is all that the graph reads.
    """

    def __init__(self, graph: bytes, main: Scope, manifest: Manifest, *, threads: int) -> None:
        self._manifest, self._threads = manifest, threads
        self._deriver: DerivedColumns | None = None
        self.rows_at_once = ROWS_AT_ONCE
        if manifest.schema.derived:
            from edge_runtime.inputs.derived_columns import (  # for few models
                MAX_CELLS_AT_ONCE,
                DerivedColumns,
            )

            self._deriver = DerivedColumns(manifest.schema)
            width = manifest.schema.numbers_width
            self.rows_at_once = max(1, min(ROWS_AT_ONCE, MAX_CELLS_AT_ONCE // width))
        self.session = Session(graph, threads=threads)
        _check_graph(self.session, manifest)
        self._inputs = frozenset(signature.name for signature in self.session.inputs)
        self.reads_numbers_alone = self._inputs == {NUMBERS}
        # What a large graph's bytes would be kept for does not pay.
        self._source = (graph, main) if len(graph) <= MAX_PRUNED_BYTES else None
        self._final_queries: dict[tuple[str, ...], GraphQuery] = {}
        self._seen: set[tuple[str, ...]] = set()
        self._lock = allocate_lock()

    def about(self, outputs: tuple[Output, ...], key: tuple[str, ...]) -> GraphQuery:
        """The question for *outputs*; *key* are their names, which cost less to look up."""
        return self._final_queries.get(key) or self._unsettled(outputs, key)

    def is_settled(self, key: tuple[str, ...]) -> bool:
        """Whether :meth:`about` gives the same question from now on."""
        return key in self._final_queries

    def warm_up(self, plans: Iterable[tuple[Output, ...]]) -> None:
        """Settle the questions about each of *plans*."""
        for outputs in plans:
            key = tuple(output.name for output in outputs)
            self._seen.add(key)
            self.about(outputs, key)

    def check_open(self) -> None:
        """Say nothing: the model is not closed."""

    def answers(
        self, question: GraphQuery, feeds: dict[str, NDArray[Any]], n_rows: int
    ) -> list[NDArray[Any]]:
        """What the trained estimator would answer for the border's *feeds*, in slices if need be.

        Raises
        ------
        InferenceError
            onnxruntime failed, or the graph contradicts its manifest.
        """
        step = self.rows_at_once
        if 0 < n_rows <= step:
            return question.answers(question.ask(self.ready(feeds)), n_rows)
        if not n_rows:
            # Not every operator takes zero rows; the shape is that of one row, without the row.
            one = question.ask(self.fed(_some_row(self._manifest.schema)))
            return [answer[:0] for answer in question.answers(one, 1)]
        slices = self._slices(feeds, n_rows)
        sizes = (min(step, n_rows - i) for i in range(0, n_rows, step))
        return join_slices(
            (
                question.answers(question.ask(given), size)
                for given, size in zip(slices, sizes, strict=True)
            ),
            n_rows,
        )

    def all_answers(self, feeds: dict[str, NDArray[Any]], n_rows: int) -> dict[str, NDArray[Any]]:
        """Every output by name, from the whole graph."""
        outputs = self._manifest.outputs
        found = self.answers(self.whole(outputs), feeds, n_rows)
        return {output.name: answer for output, answer in zip(outputs, found, strict=True)}

    def after_fork(self) -> None:
        """Be usable in a process that has just been forked off: its other threads are gone."""
        self._lock = allocate_lock()

    def sessions(self) -> list[Session | PackedVotesSession]:
        """All that were made so far."""
        return [self.session, *(question.session for question in self._final_queries.values())]

    def _slices(self, feeds: dict[str, NDArray[Any]], n_rows: int) -> Iterator[Feeds]:
        """Whatever the graph reads, some rows at a time; each must be asked before the next."""
        step = self.rows_at_once
        if self._deriver is not None:
            yield from map(self.fed, self._deriver.slices(feeds, step))
            return
        for i in range(0, n_rows, step):
            yield self.fed({name: block[i : i + step] for name, block in feeds.items()})

    def ready(self, feeds: Feeds) -> Feeds:
        """Whatever the graph reads."""
        if self._deriver is not None:
            feeds = self._deriver.widen(dict(feeds))
        if len(feeds) == len(self._inputs):
            return feeds
        return self.fed(feeds)

    def fed(self, feeds: Feeds) -> Feeds:
        """Without the block that the graph does not read (an estimator may use no text at all)."""
        if len(feeds) == len(self._inputs):
            return feeds
        return {name: block for name, block in feeds.items() if name in self._inputs}

    def whole(self, outputs: tuple[Output, ...]) -> GraphQuery:
        """The question for *outputs*, asked of the whole graph."""
        names = [output.name for output in outputs]
        each = len(names)
        return GraphQuery(self.session, outputs, names, (None,) * each, (False,) * each)

    def _unsettled(self, outputs: tuple[Output, ...], key: tuple[str, ...]) -> GraphQuery:
        with self._lock:
            whole = self.whole(outputs)
            if key not in self._seen:
                # Whoever asks once only, as a short script does, need not wait for a session.
                self._seen.add(key)
                return whole
            if key not in self._final_queries:
                self._final_queries[key] = self._quickest(whole)
            return self._final_queries[key]

    def _quickest(self, whole: GraphQuery) -> GraphQuery:
        if self._source is None or not self._manifest.golden.rows:
            return whole
        # Not at the top: whoever asks once does not come here.
        from edge_runtime.engine.optimize.choose import fastest_query

        blocks, n_rows = golden_feeds(self._manifest)
        return fastest_query(
            whole, *self._source, (self.ready(blocks), n_rows), threads=self._threads
        )


def join_slices(parts: Iterable[list[NDArray[Any]]], n_rows: int) -> list[NDArray[Any]]:
    """The answers for *n_rows* rows, of which *parts* are the slices, each with all outputs."""
    whole: list[NDArray[Any]] = []
    start = end = 0
    for part in parts:
        if not whole:
            whole = [np.empty((n_rows, *array.shape[1:]), array.dtype) for array in part]
        start, end = end, end + len(part[0])
        for array, place in zip(part, whole, strict=True):
            place[start:end] = array
    return whole


def _some_row(schema: Schema) -> dict[str, NDArray[Any]]:
    """One row that the graph answers, whatever the answer."""
    numbers = [schema.columns[i].minimum or 0.0 for i in schema.numeric]
    numbers += [0.0] * (schema.numbers_width - len(numbers))
    strings = [
        column.categories[0] if column.categories else MISSING_STRING if column.missing else "a"
        for column in (schema.columns[i] for i in schema.textual)
    ]
    return {
        NUMBERS: np.array([numbers], dtype=np.float64),
        STRINGS: np.array([strings], dtype=object),
    }


def _check_graph(session: Session, manifest: Manifest) -> None:
    given = {signature.name for signature in session.outputs}
    for output in manifest.outputs:
        if output.name not in given:
            raise IntegrityError(
                f"the graph has no output {output.name!r}, which the manifest names; build the "
                "model again"
            )
    kinds = {
        NUMBERS: (np.float64, manifest.schema.numbers_width),
        STRINGS: (np.object_, len(manifest.schema.textual)),
    }
    for signature in session.inputs:
        element_type, columns = kinds.get(signature.name, (None, 0))
        if signature.element_type is not element_type or not columns:
            raise IntegrityError(
                f"the graph asks for {signature.name!r}, which the schema does not give; build "
                "the model again"
            )
