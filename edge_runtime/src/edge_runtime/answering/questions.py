"""A model's graph in, for each question the smallest session that answers it out.

The whole graph is loaded first, and proves itself on the golden rows.  A question that is asked a
second time gets a session of its own, without the nodes that only other outputs need: logistic
regression answers labels in 2.6 us instead of 4.2 (measured, 20 columns, onnxruntime 1.32).
"""

from __future__ import annotations

from _thread import allocate_lock  # what threading.Lock is; its import takes 0.5 ms
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.answering.answers import as_named, as_trained, squeezed
from edge_runtime.answering.golden import golden_feeds
from edge_runtime.answering.session import Session
from edge_runtime.bundle.manifest import Manifest, Output
from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Schema
from edge_runtime.errors import InferenceError, InputError, IntegrityError, UnsupportedRuntimeError
from edge_runtime.records import record
from edge_runtime.scan.graph_reading import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.answering.narrowing import Narrowed
    from edge_runtime.border.deriving import Deriver

__all__ = ["MAX_NARROWED_BYTES", "ROWS_AT_ONCE", "Question", "Questions", "joined"]

MAX_NARROWED_BYTES = 1 << 20
"""Largest graph that is cut: a session has a copy of its constants, and a graph beyond spends its
time on them, not on the nodes that a cut removes."""

ROWS_AT_ONCE = 4096
"""Rows of a batch that the graph sees at once: what lies between its nodes then stays in the cache.

100,000 rows of 64 columns through a neural network: 78 ms so, 230 ms in one go (measured on 2 cores
of an EPYC, onnxruntime 1.32, without its memory arena), and memory stays flat.
"""

Feeds: TypeAlias = "Mapping[str, NDArray[Any]]"


@record(frozen=True, slots=True)
class Question:
    """Some outputs, and the session to ask for them.

    Attributes
    ----------
    names
        What the session calls them.
    labels
        For each of them None, or the table in which the session gives positions.
    squeezed
        Of each of them, whether its second axis, of length 1, is to be taken away.
    proves_finite, in_one_go
        What the only output tells of the numbers; see the module ``witness``.
    """

    session: Session
    outputs: tuple[Output, ...]
    names: list[str]
    labels: tuple[NDArray[Any] | None, ...]
    squeezed: tuple[bool, ...]
    proves_finite: bool = False
    in_one_go: bool = False

    def ask(self, feeds: Feeds) -> list[NDArray[Any]]:
        """The graph's arrays, which :meth:`answers` makes scikit-learn's of."""
        return self.session.run(self.names, feeds)

    def answers(self, found: Sequence[NDArray[Any]], n_rows: int) -> list[NDArray[Any]]:
        """What the trained estimator would give.

        Raises
        ------
        InferenceError
            The graph contradicts its manifest.
        """
        return [
            as_trained(array, output, n_rows)
            if labels is None
            else as_named(array, labels, output, n_rows)
            for array, output, labels in zip(
                self.shaped(found), self.outputs, self.labels, strict=True
            )
        ]

    def shaped(self, found: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """The graph's arrays, those of one column as vectors where that is to be."""
        if True not in self.squeezed:
            return found
        return [
            squeezed(array, output) if flat else array
            for array, output, flat in zip(found, self.outputs, self.squeezed, strict=True)
        ]


class Questions:
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
        self._deriver: Deriver | None = None
        self.rows_at_once = ROWS_AT_ONCE
        if manifest.schema.derived:
            from edge_runtime.border.deriving import MAX_CELLS_AT_ONCE, Deriver  # for few models

            self._deriver = Deriver(manifest.schema)
            width = manifest.schema.numbers_width
            self.rows_at_once = max(1, min(ROWS_AT_ONCE, MAX_CELLS_AT_ONCE // width))
        self.session = Session(graph, threads=threads)
        _check_graph(self.session, manifest)
        self._inputs = frozenset(signature.name for signature in self.session.inputs)
        self.reads_numbers_alone = self._inputs == {NUMBERS}
        # What a large graph's bytes would be kept for does not pay.
        self._source = (graph, main) if len(graph) <= MAX_NARROWED_BYTES else None
        self._settled: dict[tuple[str, ...], Question] = {}
        self._seen: set[tuple[str, ...]] = set()
        self._lock = allocate_lock()

    def about(self, outputs: tuple[Output, ...], key: tuple[str, ...]) -> Question:
        """The question for *outputs*; *key* are their names, which cost less to look up."""
        return self._settled.get(key) or self._unsettled(outputs, key)

    def is_settled(self, key: tuple[str, ...]) -> bool:
        """Whether :meth:`about` gives the same question from now on."""
        return key in self._settled

    def warm_up(self, plans: Iterable[tuple[Output, ...]]) -> None:
        """Settle the questions about each of *plans*."""
        for outputs in plans:
            key = tuple(output.name for output in outputs)
            self._seen.add(key)
            self.about(outputs, key)

    def check_open(self) -> None:
        """Say nothing: the model is not closed."""

    def answers(
        self, question: Question, feeds: dict[str, NDArray[Any]], n_rows: int
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
        return joined(
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

    def forked(self) -> None:
        """Be usable in a process that has just been forked off: its other threads are gone."""
        self._lock = allocate_lock()

    def sessions(self) -> list[Session]:
        """All that were made so far."""
        return [self.session, *(question.session for question in self._settled.values())]

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

    def whole(self, outputs: tuple[Output, ...]) -> Question:
        """The question for *outputs*, asked of the whole graph."""
        names = [output.name for output in outputs]
        each = len(names)
        return Question(self.session, outputs, names, (None,) * each, (False,) * each)

    def _unsettled(self, outputs: tuple[Output, ...], key: tuple[str, ...]) -> Question:
        with self._lock:
            whole = self.whole(outputs)
            if key not in self._seen:
                # Whoever asks once only, as a short script does, need not wait for a session.
                self._seen.add(key)
                return whole
            if key not in self._settled:
                self._settled[key] = self._witnessed(self._narrowed(outputs) or whole)
            return self._settled[key]

    def _witnessed(self, question: Question) -> Question:
        """*question* with what its answers prove, where they prove something."""
        if self._source is None or len(question.outputs) != 1:
            return question
        # Not at the top, as in _narrowed.
        from edge_runtime.answering.witness import witness

        told = witness(self._source[1], question.outputs[0].name)
        q = question
        return Question(q.session, q.outputs, q.names, q.labels, q.squeezed, *told)

    def _narrowed(self, outputs: tuple[Output, ...]) -> Question | None:
        """A question that is proven to be answered as the whole graph answers it."""
        if self._source is None or not self._manifest.golden.rows:
            return None
        # Not at the top: whoever asks once does not come here.
        from edge_runtime.answering.narrowing import narrowed

        found = narrowed(*self._source, [output.name for output in outputs])
        if found is None:
            return None
        try:
            question = _asked_of(found, outputs, self._threads)
            blocks, n_rows = golden_feeds(self._manifest)
            feeds = self.ready(blocks)
            narrow, whole = (
                item.answers(item.ask(feeds), n_rows) for item in (question, self.whole(outputs))
            )
        # The whole graph has proven itself: nothing is lost but speed.
        except (UnsupportedRuntimeError, InferenceError, InputError):
            return None
        # To the last bit: onnxruntime may order the arithmetic of another graph otherwise.
        return question if all(map(_is_same, narrow, whole)) else None


def joined(parts: Iterable[list[NDArray[Any]]], n_rows: int) -> list[NDArray[Any]]:
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


def _asked_of(found: Narrowed, outputs: tuple[Output, ...], threads: int) -> Question:
    tables = tuple(
        None if labels is None else as_trained(labels, output, len(labels))
        for labels, output in zip(found.labels, outputs, strict=True)
    )
    session = Session(found.graph, threads=threads)
    return Question(session, outputs, list(found.names), tables, found.squeezed)


def _is_same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    # The bytes of an array of objects are addresses.
    return a.tolist() == b.tolist() if a.dtype.kind == "O" else a.tobytes() == b.tobytes()


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
