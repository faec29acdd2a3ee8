"""A table in, an array for every row out, with as little work between as possible.

The quick way is for the commonest table, a C-contiguous float64 array of the model's numbers: it is
checked and handed to the graph as it lies, block by block, so that the graph reads from the cache
what the check has just read from memory.  Every other table goes by the border.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import NUMBERS
from edge_runtime.engine.outputs import as_trained, labels_at, squeezed
from edge_runtime.engine.planner import QueryPlanner, join_slices
from edge_runtime.engine.query import GraphQuery
from edge_runtime.errors import InputError
from edge_runtime.inputs.columns import CELLS_ONE_THREAD_SUMS, are_finite
from edge_runtime.inputs.tables import InputReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Answer", "table_predictor"]

Answer: TypeAlias = "NDArray[Any] | list[NDArray[Any]]"


def table_predictor(
    questions: QueryPlanner, border: InputReader, outputs: tuple[Output, ...]
) -> Callable[[Any], Answer]:
    """The function from a table to what the estimator's method gives; for any number of threads."""
    key = tuple(output.name for output in outputs)
    several = outputs[0].item is not None
    about = questions.about

    def careful(X: Any) -> Answer:
        feeds, n_rows = border.feeds(X)
        found = questions.answers(about(outputs, key), feeds, n_rows)
        return found if several else found[0]

    if several or not border.takes_any_number or not questions.reads_numbers_alone:
        return careful
    width, most = len(border.schema.columns), questions.rows_at_once
    ndarray, float64 = np.ndarray, np.dtype(np.float64)
    settled: _Ask | None = None

    def answer(X: Any) -> Answer:
        nonlocal settled
        if (
            type(X) is not ndarray
            or X.dtype is not float64
            or len(shape := X.shape) != 2
            or shape[1] != width
            or not shape[0]
            or not X.flags.c_contiguous
        ):
            return careful(X)
        if settled is not None:
            return settled(X, shape[0])
        ask = _asker(about(outputs, key), border, most)
        if questions.is_settled(key):
            settled = ask
        return ask(X, shape[0])

    return answer


_Ask: TypeAlias = "Callable[[NDArray[Any], int], NDArray[Any]]"


def _asker(question: GraphQuery, border: InputReader, most: int) -> _Ask:
    """The function from a block, and its rows, to answers; it asks for *most* rows at once."""
    run, names, proves_finite = question.session.run, question.names, question.proves_finite
    in_one_go, output, flat = question.in_one_go, question.outputs[0], question.squeezed[0]
    labels, done = question.labels[0], np.dtype(output.dtype)
    vdot, is_small = np.vdot, CELLS_ONE_THREAD_SUMS // max(1, len(border.schema.columns))

    def ask(block: NDArray[Any], n_rows: int) -> NDArray[Any]:
        if n_rows > most and not in_one_go:
            return in_slices(block, n_rows)
        if not proves_finite and not (
            isfinite(vdot(block, block)) if n_rows <= is_small else are_finite(block)
        ):
            border.check_block(block)
        (array,) = run(names, {NUMBERS: block})
        if flat:
            array = squeezed(array, output)
        if proves_finite and not are_finite(array):
            border.check_block(block)
        if labels is not None:
            return labels_at(array, labels, output, n_rows)
        # onnxruntime's int64 equals numpy's and is another object.
        if array.dtype == done and array.ndim and len(array) == n_rows:
            return array
        return as_trained(array, output, n_rows)

    def in_slices(block: NDArray[Any], n_rows: int) -> NDArray[Any]:
        slices = (block[i : i + most] for i in range(0, n_rows, most))
        try:
            return join_slices(([ask(part, len(part))] for part in slices), n_rows)[0]
        except InputError:
            border.check_block(block)  # which counts the rows from the table's first
            raise

    return ask
