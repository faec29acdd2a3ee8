"""Choose the session that computes each combination of outputs.

The whole graph is loaded first, and the golden rows prove it right.  From the second use of the
same outputs on, the planner takes a faster graph; see
:mod:`edge_runtime.engine.optimize.fastest_query`.
"""

from __future__ import annotations

from _thread import allocate_lock  # what threading.Lock is; its import takes 0.5 ms
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.manifest import Manifest, Output
from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Schema
from edge_runtime.engine.query import Feeds, GraphQuery
from edge_runtime.engine.selection import Engine, session_class
from edge_runtime.engine.self_test import golden_feeds
from edge_runtime.errors import IntegrityError
from edge_runtime.graph_safety.onnx_graph import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engine.selection import AnySession
    from edge_runtime.engine.text_slices import TextSlicer
    from edge_runtime.inputs.derived_columns import DerivedColumns

__all__ = ["MAX_PRUNED_BYTES", "ROWS_AT_ONCE", "QueryPlanner", "join_slices"]

MAX_PRUNED_BYTES = 1 << 20
"""Largest graph that is optimized.  Each session copies its constants, and a larger graph spends
its time on them, not on the nodes that pruning removes."""

ROWS_AT_ONCE = 4096
"""Rows of a batch that the graph sees at once, so that its intermediate values fit in the cache.

100,000 rows of 64 columns through a neural network: 78 ms so, 230 ms at once (measured on 2 cores
of an EPYC, onnxruntime 1.32, without its memory arena).  Memory stays flat.
"""


MAX_TENSOR_CELLS_AT_ONCE = 1 << 21
"""Cells of tensors that the graph sees at once: 16 MB as float64, 13 pictures of 224 x 224 x 3."""


class QueryPlanner:
    """All queries that a model can run.  Any number of threads may use it at once.

    Parameters
    ----------
    graph
        A ModelProto that the scan has accepted.
    main
        Its main graph.
    manifest
        Names the outputs, and has the golden rows.
    threads
        Threads that one call may use.
    engine
        ``"numpy"``, or any other for onnxruntime.

    Attributes
    ----------
    rows_at_once
        Rows of a batch that the graph sees at once.
    text_slicer
        Cuts tables into slices where the graph cuts texts; else None.
    reads_numbers_alone
        Whether the numeric block is the graph's only input.
    """

    def __init__(
        self, graph: bytes, main: Scope, manifest: Manifest, *, threads: int, engine: Engine
    ) -> None:
        self._manifest = manifest
        self._open_session = partial(session_class(engine), threads=threads)
        self._deriver: DerivedColumns | None = None
        self.rows_at_once = ROWS_AT_ONCE
        self._is_tensor = manifest.schema.kind == "tensor"
        if self._is_tensor:
            self.rows_at_once = _rows_within(MAX_TENSOR_CELLS_AT_ONCE, manifest.schema)
        if manifest.schema.derived:
            from edge_runtime.inputs.derived_columns import (  # few models have derived columns
                MAX_CELLS_AT_ONCE,
                DerivedColumns,
            )

            self._deriver = DerivedColumns(manifest.schema)
            self.rows_at_once = _rows_within(MAX_CELLS_AT_ONCE, manifest.schema)
        self.text_slicer: TextSlicer | None = None
        if manifest.schema.textual:
            from edge_runtime.engine.text_slices import TextSlicer, cuts_texts

            self.text_slicer = TextSlicer(manifest.schema) if cuts_texts(main) else None
        self.session = self._open_session(graph)
        _check_graph(self.session, manifest)
        self._inputs = frozenset(signature.name for signature in self.session.inputs)
        self.reads_numbers_alone = self._inputs == {NUMBERS}
        # A large graph is not optimized, so its bytes need not stay in memory.
        self._source = (graph, main) if len(graph) <= MAX_PRUNED_BYTES else None
        self._final_queries: dict[tuple[str, ...], GraphQuery] = {}
        self._used_once: set[tuple[str, ...]] = set()
        self._lock = allocate_lock()

    def query(self, outputs: tuple[Output, ...], key: tuple[str, ...]) -> GraphQuery:
        """Find the query for *outputs*; *key* are their names, which are faster to look up."""
        return self._final_queries.get(key) or self._first_or_final_query(outputs, key)

    def is_final(self, key: tuple[str, ...]) -> bool:
        """Whether :meth:`query` gives the same query from now on."""
        return key in self._final_queries

    def warm_up(self, output_groups: Iterable[tuple[Output, ...]]) -> None:
        """Make the final query of each group of outputs."""
        for outputs in output_groups:
            key = tuple(output.name for output in outputs)
            self._used_once.add(key)
            self.query(outputs, key)

    def check_open(self) -> None:
        """Do nothing: the model is open.  A closed model raises here."""

    def predict(
        self, query: GraphQuery, feeds: dict[str, NDArray[Any]], n_rows: int
    ) -> list[NDArray[Any]]:
        """Predict for the checked inputs *feeds*, in slices where there are many rows.

        Raises
        ------
        InferenceError
            The engine failed, or the graph contradicts its manifest.
        """
        if 0 < n_rows <= self.rows_at_once and self.text_slicer is None:
            return query.predict(self.graph_feeds(feeds), n_rows)
        if not n_rows:
            # Some operators take no zero rows, so predict one row and drop it.
            one_row = self._drop_unread(_example_row(self._manifest.schema))
            return [array[:0] for array in query.predict(one_row, 1)]
        bounds = self._bounds(feeds, n_rows)
        slices = zip(self._slices(feeds, bounds), bounds, strict=True)
        return join_slices((query.predict(part, j - i) for part, (i, j) in slices), n_rows)

    def predict_all(self, feeds: dict[str, NDArray[Any]], n_rows: int) -> dict[str, NDArray[Any]]:
        """Compute every output by name, with the whole graph."""
        outputs = self._manifest.outputs
        arrays = self.predict(self.whole_graph_query(outputs), feeds, n_rows)
        return {output.name: array for output, array in zip(outputs, arrays, strict=True)}

    def after_fork(self) -> None:
        """Run in the child after os.fork(): the thread that may hold the lock is not there."""
        self._lock = allocate_lock()

    def sessions(self) -> list[AnySession]:
        """List every session that exists so far."""
        return [self.session, *(query.session for query in self._final_queries.values())]

    def graph_feeds(self, feeds: Feeds) -> Feeds:
        """Compute the derived columns, and keep the blocks that the graph reads."""
        if self._deriver is not None:
            feeds = self._deriver.widen(dict(feeds))
        return self._drop_unread(feeds)

    def whole_graph_query(self, outputs: tuple[Output, ...]) -> GraphQuery:
        """Make a query that runs the whole graph."""
        names, n_outputs = [output.name for output in outputs], len(outputs)
        return GraphQuery(self.session, outputs, names, (None,) * n_outputs, (False,) * n_outputs)

    def _bounds(self, feeds: Feeds, n_rows: int) -> list[tuple[int, int]]:
        """Find the start and the end of each slice."""
        step = self.rows_at_once
        if self.text_slicer is not None:
            return list(self.text_slicer.slices(feeds[STRINGS], step))
        return [(i, min(i + step, n_rows)) for i in range(0, n_rows, step)]

    def _slices(
        self, feeds: dict[str, NDArray[Any]], bounds: Sequence[tuple[int, int]]
    ) -> Iterator[Feeds]:
        """Yield the graph's inputs for some rows at a time; use each before taking the next."""
        if self._deriver is not None:
            yield from map(self._drop_unread, self._deriver.slices(feeds, bounds))
            return
        for i, j in bounds:
            yield self._drop_unread({name: block[i:j] for name, block in feeds.items()})

    def _drop_unread(self, feeds: Feeds) -> Feeds:
        """Drop the block that the graph does not read: some estimators use no text, say."""
        if self._is_tensor:  # here, so that a slice at a time is widened
            feeds = {NUMBERS: feeds[NUMBERS].astype(np.float64, copy=False)}
        if len(feeds) == len(self._inputs):
            return feeds
        return {name: block for name, block in feeds.items() if name in self._inputs}

    def _first_or_final_query(
        self, outputs: tuple[Output, ...], key: tuple[str, ...]
    ) -> GraphQuery:
        with self._lock:
            whole = self.whole_graph_query(outputs)
            if key not in self._used_once:
                # A short script that predicts once need not wait for another session.
                self._used_once.add(key)
                return whole
            if key not in self._final_queries:
                self._final_queries[key] = self._optimized(whole)
            return self._final_queries[key]

    def _optimized(self, whole: GraphQuery) -> GraphQuery:
        if self._source is None or not self._manifest.golden.rows:
            return whole
        # Not at the top: a script that predicts once does not need it.
        from edge_runtime.engine.optimize.fastest_query import fastest_query

        blocks, n_rows = golden_feeds(self._manifest)
        golden = self.graph_feeds(blocks), n_rows
        return fastest_query(whole, *self._source, golden, self._open_session)


def _rows_within(n_cells: int, schema: Schema) -> int:
    """Find how many rows have at most *n_cells* in the numeric block; at least one."""
    return max(1, min(ROWS_AT_ONCE, n_cells // schema.numbers_width))


def join_slices(slices: Iterable[list[NDArray[Any]]], n_rows: int) -> list[NDArray[Any]]:
    """Join the predictions for slices of *n_rows* rows; each slice has all outputs."""
    joined_arrays: list[NDArray[Any]] = []
    start = end = 0
    for arrays in slices:
        if not joined_arrays:
            joined_arrays = [np.empty((n_rows, *array.shape[1:]), array.dtype) for array in arrays]
        start, end = end, end + len(arrays[0])
        for array, target in zip(arrays, joined_arrays, strict=True):
            target[start:end] = array
    return joined_arrays


def _example_row(schema: Schema) -> dict[str, NDArray[Any]]:
    """Make one row that the graph accepts; its prediction does not matter."""
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


def _check_graph(session: AnySession, manifest: Manifest) -> None:
    """Refuse a graph that lacks an output of the manifest, or reads what the schema lacks."""
    output_names = {signature.name for signature in session.outputs}
    for output in manifest.outputs:
        if output.name not in output_names:
            raise IntegrityError(
                f"the graph has no output {output.name!r}, which the manifest names; build the "
                "model again"
            )
    blocks = {
        NUMBERS: (np.float64, manifest.schema.numbers_width),
        STRINGS: (np.object_, len(manifest.schema.textual)),
    }
    for signature in session.inputs:
        element_type, columns = blocks.get(signature.name, (None, 0))
        if signature.element_type is not element_type or not columns:
            raise IntegrityError(
                f"the graph reads {signature.name!r}, which the schema does not have; build "
                "the model again"
            )
