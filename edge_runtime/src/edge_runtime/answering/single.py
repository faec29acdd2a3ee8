"""One row in, one answer out, with as little work between as possible.

A *lane* is a set of buffers that the graph reads and writes in place.  A call takes one from the
pool, and puts it back when its answer is out: threads never share a lane, and there are as many as
calls ever ran at once.  ``list.pop`` and ``list.append`` are atomic, so no lock is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.answering.answers import as_named, as_trained, plain
from edge_runtime.answering.questions import Question, Questions
from edge_runtime.border import Border, row_writer
from edge_runtime.border.rows import Slots
from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import NUMBERS, STRINGS
from edge_runtime.errors import InferenceError

__all__ = ["one_answer"]

_Reader = Callable[[NDArray[Any]], Any]


def one_answer(
    questions: Questions, border: Border, outputs: tuple[Output, ...]
) -> Callable[[Any], Any]:
    """The function from a row to the plain answer; any number of threads may call it.

    It gives one value for one output, and a tuple for several.
    """
    write = row_writer(border)
    key = tuple(output.name for output in outputs)
    pool: list[tuple[Slots, Callable[[], Any]]] = []
    take, put_back = pool.pop, pool.append

    def answer(row: Any) -> Any:
        try:
            lane = take()
        except IndexError:
            slots = Slots(border.schema)
            write(row, slots)
            question = questions.about(outputs, key)
            lane = slots, _asker(question, slots)
            found = lane[1]()
            if questions.is_settled(key):  # the first answer's session is not for the long run
                put_back(lane)
            return found
        write(row, lane[0])
        found = lane[1]()
        # Not in a finally: a lane whose call failed holds half a row, and is dropped.
        put_back(lane)
        return found

    return answer


def _asker(question: Question, slots: Slots) -> Callable[[], Any]:
    """A call that answers the row in *slots*, bound to buffers where the answer is numbers."""
    blocks = {NUMBERS: slots.numbers, STRINGS: slots.strings}
    session, names = question.session, question.names
    feeds = {signature.name: blocks[signature.name] for signature in session.inputs}

    # Asked once for the shapes of the answers.
    first = session.run(names, feeds)
    readers = [
        _reader(array, output) if labels is None else _label_reader(array, labels, output)
        for array, labels, output in zip(first, question.labels, question.outputs, strict=True)
    ]
    read = readers[0]
    if STRINGS in feeds or any(array.dtype.kind not in "fiub" for array in first):
        # Strings cannot be bound.
        if len(readers) == 1:
            return lambda: read(session.run(names, feeds)[0])
        return lambda: tuple(r(a) for r, a in zip(readers, session.run(names, feeds), strict=True))
    found = [np.zeros(array.shape, dtype=array.dtype) for array in first]
    ask = session.bind(feeds, dict(zip(names, found, strict=True)))
    only = found[0]

    def bound() -> Any:
        try:
            ask()
        except Exception as error:
            raise InferenceError(
                f"onnxruntime failed on a row that passed every check: {error}"
            ) from error
        if len(found) == 1:
            return read(only)
        return tuple(r(a) for r, a in zip(readers, found, strict=True))

    return bound


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
    return lambda found: as_named(found, labels, output, 1)[0].tolist()
