"""Predict for one row, with as little work around the graph as possible.

A *row runner* predicts one row through buffers of its own, which the graph reads and writes in
place.  A call takes a runner from a pool and puts it back at the end, so threads never share one.
There are as many runners as calls ever ran at once.  ``list.pop`` and ``list.append`` are atomic,
so no lock is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import NUMBERS, STRINGS
from edge_runtime.engine.fork_gate import GATE, RunnerPool
from edge_runtime.engine.outputs import label_error, labels_at, to_python, to_trained_dtype
from edge_runtime.engine.planner import QueryPlanner
from edge_runtime.engine.query import GraphQuery
from edge_runtime.inputs.columns import CELLS_ONE_THREAD_SUMS, are_finite
from edge_runtime.inputs.single_row import (
    MIN_WIDE_CELLS,
    RowBuffers,
    RowWriter,
    copy_wide_row,
    row_writer,
)
from edge_runtime.inputs.tables import InputReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engine.text_slices import TextSlicer
    from edge_runtime.inputs.tensors import TensorReader

__all__ = ["row_predictor"]

RowRunner: TypeAlias = "Callable[[Any], Any]"
"""Writes a row into its buffers, runs the graph on them, and reads the prediction."""

_GraphRunner: TypeAlias = "Callable[[], Any]"
"""Runs the graph on the buffers, and reads the prediction."""

_OutputReader: TypeAlias = "Callable[[NDArray[Any]], Any]"
"""Converts an output of one row to a Python value."""


def row_predictor(
    planner: QueryPlanner, input_reader: InputReader, outputs: tuple[Output, ...]
) -> Callable[[Any], Any]:
    """Make the function from a row to a plain Python value; any thread may call it.

    It gives one value for one output, and a tuple for several.
    """
    write = row_writer(input_reader)
    if planner.text_slicer is not None:
        write = _bounded_writer(write, planner.text_slicer)
    key = tuple(output.name for output in outputs)
    pool = RunnerPool()
    take, put_back, forget = pool.idle.pop, pool.idle.append, pool.made.pop

    def predict(row: Any) -> Any:
        try:
            runner = take()
        except IndexError:
            return predict_with_new_runner(row)
        try:
            prediction = runner(row)
        except BaseException:
            forget()  # the buffers may hold half a row, so drop the runner
            raise
        put_back(runner)
        return prediction

    def predict_with_new_runner(row: Any) -> Any:
        query = planner.query(outputs, key)
        runner, prediction = _new_runner(row, query, input_reader, write)
        if planner.is_final(key):  # the first query's session may be replaced
            pool.made.append(None)
            put_back(runner)
        return prediction

    return predict


def _bounded_writer(write: RowWriter, slicer: TextSlicer) -> RowWriter:
    """Make a writer that refuses a text that is too long for a graph that cuts texts."""

    def write_bounded(row: Any, buffers: RowBuffers) -> None:
        write(row, buffers)
        slicer.check_row(buffers.strings)

    return write_bounded


def _new_runner(
    row: Any, query: GraphQuery, input_reader: InputReader, write: RowWriter
) -> tuple[RowRunner, Any]:
    """Make a runner, and predict *row* with it: the result shows the shapes of the outputs."""
    if input_reader.tensors is not None:
        tensor_runner = _tensor_runner(query, input_reader.tensors)
        return tensor_runner, tensor_runner(row)
    buffers = RowBuffers(input_reader.schema)
    write(row, buffers)
    blocks = {NUMBERS: buffers.numbers, STRINGS: buffers.strings}
    feeds = {signature.name: blocks[signature.name] for signature in query.session.inputs}
    arrays = query.session.run(query.names, feeds)
    readers = _output_readers(query, query.drop_axes(arrays))
    if STRINGS in feeds or any(array.dtype.kind not in "fiub" for array in arrays):
        run_graph = _unbound_runner(query, feeds, readers)  # strings cannot be bound
        prediction = run_graph()
    else:
        run_graph = _bound_runner(query, feeds, arrays, readers)
        GATE.enter()
        try:
            prediction = run_graph()
        finally:
            GATE.leave()
    if not input_reader.takes_any_number:
        return _plain_runner(buffers, write, run_graph), prediction
    if query.proves_finite and type(prediction) is float:
        return _finite_output_runner(buffers, write, run_graph), prediction
    takes_missing = input_reader.takes_missing
    return _array_runner(buffers, write, run_graph, takes_missing=takes_missing), prediction


def _tensor_runner(query: GraphQuery, tensors: TensorReader) -> RowRunner:
    """Make a runner that passes the row's own memory to the graph: a copy would cost as much."""
    run, names, drop_axes = query.session.run, query.names, query.drop_axes
    reads_input = bool(query.session.inputs)
    readers: list[_OutputReader] = []

    def runner(row: Any) -> Any:
        block = tensors.row_block(row)
        arrays = drop_axes(run(names, {NUMBERS: block} if reads_input else {}))
        if not readers:
            readers.extend(_output_readers(query, arrays))
        if len(readers) == 1:
            return readers[0](arrays[0])
        return tuple(read(array) for read, array in zip(readers, arrays, strict=True))

    return runner


def _output_readers(query: GraphQuery, arrays: Sequence[NDArray[Any]]) -> list[_OutputReader]:
    """Make a reader for each output, from the *arrays* of one row."""
    return [
        _number_reader(array, output) if labels is None else _label_reader(array, labels, output)
        for array, labels, output in zip(arrays, query.labels, query.outputs, strict=True)
    ]


def _plain_runner(buffers: RowBuffers, write: RowWriter, run_graph: _GraphRunner) -> RowRunner:
    """Make a runner that validates every row in full."""

    def runner(row: Any) -> Any:
        write(row, buffers)
        return run_graph()

    return runner


def _array_runner(
    buffers: RowBuffers, write: RowWriter, run_graph: _GraphRunner, *, takes_missing: bool
) -> RowRunner:
    """Make a runner with a fast path for 1-d arrays, whose cells need only be finite."""
    cells = buffers.numbers[0]
    shape, float64, vdot = cells.shape, cells.dtype, np.vdot
    is_small = cells.size <= CELLS_ONE_THREAD_SUMS
    is_wide = cells.size >= MIN_WIDE_CELLS

    def runner(row: Any) -> Any:
        if type(row) is np.ndarray and row.dtype is float64 and row.shape == shape:
            cells[...] = row
            # Check the copy, which no other thread can change.  See are_finite for vdot.
            if (isfinite(vdot(cells, cells)) if is_small else are_finite(cells)) or (
                takes_missing and not np.isinf(cells).any()
            ):
                return run_graph()
        elif is_wide and copy_wide_row(row, cells):
            return run_graph()
        write(row, buffers)
        return run_graph()

    return runner


def _finite_output_runner(
    buffers: RowBuffers, write: RowWriter, run_graph: _GraphRunner
) -> RowRunner:
    """Make a runner whose finite predictions prove the cells finite; see ``finite_check``."""
    cells = buffers.numbers[0]
    shape, float64 = cells.shape, cells.dtype
    is_wide = cells.size >= MIN_WIDE_CELLS

    def runner(row: Any) -> Any:
        if type(row) is np.ndarray and row.dtype is float64 and row.shape == shape:
            cells[...] = row
            prediction = run_graph()
            if isfinite(prediction):
                return prediction
        elif is_wide and copy_wide_row(row, cells):
            return run_graph()
        write(row, buffers)
        return run_graph()

    return runner


def _unbound_runner(
    query: GraphQuery, feeds: dict[str, NDArray[Any]], readers: list[_OutputReader]
) -> _GraphRunner:
    """Make a call that runs the graph on *feeds*, and lets it allocate the outputs."""
    run, names, drop_axes, read = query.session.run, query.names, query.drop_axes, readers[0]
    if len(readers) == 1:
        return lambda: read(drop_axes(run(names, feeds))[0])
    return lambda: tuple(
        read(array) for read, array in zip(readers, drop_axes(run(names, feeds)), strict=True)
    )


def _bound_runner(
    query: GraphQuery,
    feeds: dict[str, NDArray[Any]],
    arrays: list[NDArray[Any]],
    readers: list[_OutputReader],
) -> _GraphRunner:
    """Make a call that writes outputs in place, into buffers of the shapes of *arrays*."""
    targets = [np.zeros(array.shape, dtype=array.dtype) for array in arrays]
    run = query.session.bind(feeds, dict(zip(query.names, targets, strict=True)))
    views = query.drop_axes(targets)
    view, read = views[0], readers[0]

    def run_one_output() -> Any:
        try:
            run()
        except Exception as error:
            raise query.session.error(error) from error
        return read(view)

    def run_several_outputs() -> Any:
        try:
            run()
        except Exception as error:
            raise query.session.error(error) from error
        return tuple(read(array) for read, array in zip(readers, views, strict=True))

    return run_one_output if len(views) == 1 else run_several_outputs


def _number_reader(example: NDArray[Any], output: Output) -> _OutputReader:
    """Make a reader of arrays like *example*, without a cast where none is needed."""
    dtype = to_trained_dtype(example, output, 1).dtype
    # An int64 that becomes a Python int needs no cast to a narrower integer first.
    if example.ndim == 1 and (example.dtype == dtype or example.dtype.kind == dtype.kind == "i"):
        return np.ndarray.item
    if example.ndim == 2 and example.dtype == dtype:
        return lambda array: array.tolist()[0]
    return lambda array: to_python(to_trained_dtype(array, output, 1))


def _label_reader(example: NDArray[Any], labels: NDArray[Any], output: Output) -> _OutputReader:
    """Make a reader that looks up the label at a position, or the labels at several."""
    table = labels.tolist()

    def read_label(array: NDArray[Any]) -> Any:
        try:
            return table[array.item()]
        except IndexError as error:
            raise label_error(output) from error

    if example.ndim == 1:
        return read_label
    return lambda array: labels_at(array, labels, output, 1)[0].tolist()
