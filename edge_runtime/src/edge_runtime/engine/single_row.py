"""One row in, one answer out, with as little work between as possible.

A *lane* answers one row through buffers of its own, which the graph reads and writes in place.  A
call takes one from the pool, and puts it back when its answer is out: threads never share a lane,
and there are as many as calls ever ran at once.  ``list.pop`` and ``list.append`` are atomic, so no
lock is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import NUMBERS, STRINGS
from edge_runtime.engine.outputs import as_trained, labels_at, plain
from edge_runtime.engine.planner import QueryPlanner
from edge_runtime.engine.query import GraphQuery
from edge_runtime.engine.session import inference_error
from edge_runtime.errors import InferenceError
from edge_runtime.inputs.columns import CELLS_ONE_THREAD_SUMS, are_finite
from edge_runtime.inputs.rows import RowBuffers, RowWriter, row_writer
from edge_runtime.inputs.tables import InputReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["row_predictor"]

_Reader: TypeAlias = "Callable[[NDArray[Any]], Any]"


def row_predictor(
    questions: QueryPlanner, border: InputReader, outputs: tuple[Output, ...]
) -> Callable[[Any], Any]:
    """The function from a row to the plain answer; any number of threads may call it.

    It gives one value for one output, and a tuple for several.
    """
    write = row_writer(border)
    key = tuple(output.name for output in outputs)
    pool: list[Callable[[Any], Any]] = []
    take, put_back = pool.pop, pool.append

    def answer(row: Any) -> Any:
        try:
            lane = take()
        except IndexError:
            lane, found = _first_answer(row, questions.about(outputs, key), border, write)
            if questions.is_settled(key):  # the first answer's session is not for the long run
                put_back(lane)
            return found
        found = lane(row)
        # Not in a finally: a lane whose call failed holds half a row, and is dropped.
        put_back(lane)
        return found

    return answer


def _first_answer(
    row: Any, question: GraphQuery, border: InputReader, write: RowWriter
) -> tuple[Callable[[Any], Any], Any]:
    """A new lane, and its answer to *row*, which shows it what answers look like."""
    slots = RowBuffers(border.schema)
    write(row, slots)
    blocks = {NUMBERS: slots.numbers, STRINGS: slots.strings}
    feeds = {signature.name: blocks[signature.name] for signature in question.session.inputs}
    first = question.session.run(question.names, feeds)
    readers = [
        _reader(array, output) if labels is None else _label_reader(array, labels, output)
        for array, labels, output in zip(
            question.shaped(first), question.labels, question.outputs, strict=True
        )
    ]
    if STRINGS in feeds or any(array.dtype.kind not in "fiub" for array in first):
        ask = _unbound(question, feeds, readers)  # strings cannot be bound
    else:
        ask = _bound(question, feeds, first, readers)
    found = ask()
    if not border.takes_any_number:
        return _lane(slots, write, ask), found
    if question.proves_finite and type(found) is float:
        return _lane_with_witness(slots, write, ask), found
    return _lane_of_numbers(slots, write, ask, takes_missing=border.takes_missing), found


def _lane(slots: RowBuffers, write: RowWriter, ask: Callable[[], Any]) -> Callable[[Any], Any]:
    def lane(row: Any) -> Any:
        write(row, slots)
        return ask()

    return lane


def _lane_of_numbers(
    slots: RowBuffers, write: RowWriter, ask: Callable[[], Any], *, takes_missing: bool
) -> Callable[[Any], Any]:
    """A lane with a quick way for 1-d arrays of float64, whose cells need but be finite."""
    flat = slots.numbers[0]
    shape, float64, vdot = flat.shape, flat.dtype, np.vdot
    is_small = flat.size <= CELLS_ONE_THREAD_SUMS

    def lane(row: Any) -> Any:
        if type(row) is np.ndarray and row.dtype is float64 and row.shape == shape:
            flat[...] = row
            # What was copied is checked: nobody else can change it.  See are_finite.
            if (isfinite(vdot(flat, flat)) if is_small else are_finite(flat)) or (
                takes_missing and not np.isinf(flat).any()
            ):
                return ask()
        write(row, slots)
        return ask()

    return lane


def _lane_with_witness(
    slots: RowBuffers, write: RowWriter, ask: Callable[[], Any]
) -> Callable[[Any], Any]:
    """The same where a finite answer proves the cells finite; see the module ``witness``."""
    flat = slots.numbers[0]
    shape, float64 = flat.shape, flat.dtype

    def lane(row: Any) -> Any:
        if type(row) is np.ndarray and row.dtype is float64 and row.shape == shape:
            flat[...] = row
            found = ask()
            if isfinite(found):
                return found
        write(row, slots)
        return ask()

    return lane


def _unbound(
    question: GraphQuery, feeds: dict[str, NDArray[Any]], readers: list[_Reader]
) -> Callable[[], Any]:
    """A call that answers what is in *feeds*."""
    run, names, shaped, read = question.session.run, question.names, question.shaped, readers[0]
    if len(readers) == 1:
        return lambda: read(shaped(run(names, feeds))[0])
    return lambda: tuple(r(a) for r, a in zip(readers, shaped(run(names, feeds)), strict=True))


def _bound(
    question: GraphQuery,
    feeds: dict[str, NDArray[Any]],
    first: list[NDArray[Any]],
    readers: list[_Reader],
) -> Callable[[], Any]:
    """The same, through buffers of the shapes of *first* that the graph writes in place."""
    buffers = [np.zeros(array.shape, dtype=array.dtype) for array in first]
    run = question.session.bind(feeds, dict(zip(question.names, buffers, strict=True)))
    views = question.shaped(buffers)
    only, read = views[0], readers[0]

    def ask_for_one() -> Any:
        try:
            run()
        except Exception as error:
            raise inference_error(error) from error
        return read(only)

    def ask_for_several() -> Any:
        try:
            run()
        except Exception as error:
            raise inference_error(error) from error
        return tuple(r(a) for r, a in zip(readers, views, strict=True))

    return ask_for_one if len(views) == 1 else ask_for_several


def _reader(first: NDArray[Any], output: Output) -> _Reader:
    """What makes a plain value of an array like *first*, without a cast where none is needed."""
    dtype = as_trained(first, output, 1).dtype
    # An int64 read as an int needs no cast to a narrower integer first.
    if first.ndim == 1 and (first.dtype == dtype or first.dtype.kind == dtype.kind == "i"):
        return np.ndarray.item
    if first.ndim == 2 and first.dtype == dtype:
        return lambda found: found.tolist()[0]
    return lambda found: plain(as_trained(found, output, 1))


def _label_reader(first: NDArray[Any], labels: NDArray[Any], output: Output) -> _Reader:
    """What makes a plain label of a position, or of several."""
    table = labels.tolist()

    def label(found: NDArray[Any]) -> Any:
        try:
            return table[found.item()]
        except IndexError as error:
            raise InferenceError(f"{output.name}: the graph gives a label that is none") from error

    if first.ndim == 1:
        return label
    return lambda found: labels_at(found, labels, output, 1)[0].tolist()
