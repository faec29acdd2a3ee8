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

from edge_runtime.answers import as_trained, plain
from edge_runtime.border import Border, row_writer
from edge_runtime.border.rows import Slots
from edge_runtime.errors import InferenceError
from edge_runtime.manifest import Output
from edge_runtime.schema import NUMBERS, STRINGS
from edge_runtime.session import Session

__all__ = ["one_answer"]


def one_answer(session: Session, border: Border, output: Output) -> Callable[[Any], Any]:
    """The function from a row to *output*'s plain answer; any number of threads may call it."""
    write = row_writer(border)
    pool: list[tuple[Slots, Callable[[], Any]]] = []
    take, put_back = pool.pop, pool.append

    def answer(row: Any) -> Any:
        try:
            lane = take()
        except IndexError:
            slots = Slots(border.schema)
            write(row, slots)
            lane = slots, _asker(session, slots, output)
        else:
            write(row, lane[0])
        found = lane[1]()
        # Not in a finally: a lane whose call failed holds half a row, and is dropped.
        put_back(lane)
        return found

    return answer


def _asker(session: Session, slots: Slots, output: Output) -> Callable[[], Any]:
    """A call that answers the row in *slots*, bound to buffers where the answer is numbers."""
    blocks = {NUMBERS: slots.numbers, STRINGS: slots.strings}
    feeds = {signature.name: blocks[signature.name] for signature in session.inputs}
    names = [output.name]

    # Asked once for the shape of the answer.
    first = session.run(names, feeds)[0]
    read = _reader(first, output)
    if STRINGS in feeds or first.dtype.kind not in "fiub":
        return lambda: read(session.run(names, feeds)[0])  # strings cannot be bound
    found = np.zeros(first.shape, dtype=first.dtype)
    ask = session.bind(feeds, {output.name: found})

    def bound() -> Any:
        try:
            ask()
        except Exception as error:
            raise InferenceError(
                f"onnxruntime failed on a row that passed every check: {error}"
            ) from error
        return read(found)

    return bound


def _reader(first: NDArray[Any], output: Output) -> Callable[[NDArray[Any]], Any]:
    """What makes a plain value of an array like *first*, without a cast where none is needed."""
    dtype = as_trained(first, output, 1).dtype
    # An int64 read as an int needs no cast to a narrower integer first.
    if first.ndim == 1 and (first.dtype == dtype or first.dtype.kind == dtype.kind == "i"):
        return np.ndarray.item
    return lambda found: plain(as_trained(found, output, 1))
