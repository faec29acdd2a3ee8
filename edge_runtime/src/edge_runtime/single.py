"""One row in, one answer out, with as little work between as possible.

A *lane* is a set of buffers that the graph reads and writes in place.  A call takes one from the
pool, and puts it back when its answer is out: threads never share a lane, and there are as many as
calls ever ran at once.  ``list.pop`` and ``list.append`` are atomic, so no lock is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_runtime.answers import as_trained, plain
from edge_runtime.border import Border, row_writer
from edge_runtime.border.rows import Slots
from edge_runtime.errors import InferenceError
from edge_runtime.manifest import Output
from edge_runtime.schema import NUMBERS, STRINGS
from edge_runtime.session import Session

__all__ = ["one_answer"]

Lane = tuple[Slots, Callable[[], Any]]


def one_answer(session: Session, border: Border, output: Output) -> Callable[[Any], Any]:
    """The function from a row to *output*'s plain answer; any number of threads may call it."""
    write = row_writer(border)
    pool: list[Lane] = []
    shape: list[tuple[int, ...]] = []  # of the answer for one row; known after the first

    def answer(row: Any) -> Any:
        try:
            lane = pool.pop()
        except IndexError:
            lane = _lane(session, border, output, shape)
        slots, ask = lane
        # A lane whose call failed is not put back: its buffers are in no known state.
        write(row, slots)
        found = ask()
        pool.append(lane)
        return found

    return answer


def _lane(session: Session, border: Border, output: Output, shape: list[tuple[int, ...]]) -> Lane:
    slots = Slots(border.schema)
    wanted = {signature.name for signature in session.inputs}
    blocks = {NUMBERS: slots.numbers, STRINGS: slots.strings}
    feeds = {name: block for name, block in blocks.items() if name in wanted}
    element_type = next(s.element_type for s in session.outputs if s.name == output.name)
    dtype = np.dtype(output.dtype)
    names = [output.name]

    def run() -> Any:
        found = session.run(names, feeds)[0]
        if not shape:
            shape.append(found.shape)
        return plain(as_trained(found, output, 1))

    if not shape or STRINGS in feeds or element_type is np.object_ or dtype.kind not in "fiub":
        return slots, run
    found = np.zeros(shape[0], dtype=element_type)
    ask = session.bind(feeds, {output.name: found})
    read = found.item if found.ndim == 1 and found.dtype == dtype else None

    def bound() -> Any:
        try:
            ask()
        except Exception as error:
            raise InferenceError(
                f"onnxruntime failed on a row that passed every check: {error}"
            ) from error
        return read() if read is not None else plain(as_trained(found, output, 1))

    return slots, bound
