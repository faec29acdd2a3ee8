"""Predict for a table of rows, with as little work around the graph as possible.

The fast path takes the commonest table: a C-contiguous float64 array of the model's numbers.  It is
checked and passed to the graph as it is, slice by slice: the graph then finds in the cache what the
check has just read from memory.  Every other table goes through the full input validation.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_runtime.bundle.manifest import Manifest, Output
from edge_runtime.bundle.schema import NUMBERS
from edge_runtime.engine.outputs import drop_second_axis, labels_at, to_trained_dtype
from edge_runtime.engine.planner import QueryPlanner, join_slices
from edge_runtime.engine.query import GraphQuery
from edge_runtime.errors import InputError
from edge_runtime.inputs.columns import CELLS_ONE_THREAD_SUMS, are_finite
from edge_runtime.inputs.tables import InputReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Predictions", "log_predictor", "logarithms", "table_predictor"]

Predictions: TypeAlias = "NDArray[Any] | list[NDArray[Any]]"

_BlockPredictor: TypeAlias = "Callable[[NDArray[Any], int], NDArray[Any]]"


def table_predictor(
    planner: QueryPlanner, input_reader: InputReader, outputs: tuple[Output, ...]
) -> Callable[[Any], Predictions]:
    """Make the function from a table to the method's predictions; any thread may call it."""
    key = tuple(output.name for output in outputs)
    has_several = len(outputs) > 1 or outputs[0].item is not None

    def predict_any_table(X: Any) -> Predictions:
        feeds, n_rows = input_reader.feeds(X)
        arrays = planner.predict(planner.query(outputs, key), feeds, n_rows)
        return arrays if has_several else arrays[0]

    if has_several or not input_reader.takes_any_number or not planner.reads_numbers_alone:
        return predict_any_table
    width, max_rows = len(input_reader.schema.columns), planner.rows_at_once
    ndarray, float64 = np.ndarray, np.dtype(np.float64)
    final_predictor: _BlockPredictor | None = None

    def predict(X: Any) -> Predictions:
        nonlocal final_predictor
        if (
            type(X) is not ndarray
            or X.dtype is not float64
            or len(shape := X.shape) != 2
            or shape[1] != width
            or not shape[0]
            or not X.flags.c_contiguous
        ):
            return predict_any_table(X)
        if final_predictor is not None:
            return final_predictor(X, shape[0])
        predict_block = _block_predictor(planner.query(outputs, key), input_reader, max_rows)
        if planner.is_final(key):
            final_predictor = predict_block
        return predict_block(X, shape[0])

    return predict


def log_predictor(
    predict_proba: Callable[[Any], Predictions], manifest: Manifest
) -> Callable[[Any], Predictions]:
    """Make the function from a table to the logarithms of its probabilities."""

    def predict_log_proba(X: Any) -> Predictions:
        arrays = predict_proba(X)
        if isinstance(arrays, list):
            return [logarithms(array, manifest) for array in arrays]
        return logarithms(arrays, manifest)

    return predict_log_proba


def logarithms(probabilities: NDArray[Any], manifest: Manifest) -> NDArray[Any]:
    """Take logarithms as scikit-learn: of the manifest's floor where a probability is zero."""
    floor = manifest.log_floor or 0.0
    with np.errstate(divide="ignore"):
        result: NDArray[Any] = np.log(np.where(probabilities == 0.0, floor, probabilities))
    return result.astype(probabilities.dtype, copy=False)


def _block_predictor(
    query: GraphQuery, input_reader: InputReader, max_rows: int
) -> _BlockPredictor:
    """Make the function from a block to predictions; the graph sees *max_rows* rows at once."""
    run, names, proves_finite = query.session.run, query.names, query.proves_finite
    needs_no_slices, output, squeezed = query.needs_no_slices, query.outputs[0], query.squeezed[0]
    labels, trained_dtype = query.labels[0], np.dtype(output.dtype)
    vdot, small = np.vdot, CELLS_ONE_THREAD_SUMS // max(1, len(input_reader.schema.columns))

    def predict_block(block: NDArray[Any], n_rows: int) -> NDArray[Any]:
        if n_rows > max_rows and not needs_no_slices:
            return predict_slices(block, n_rows)
        if not proves_finite and not (
            isfinite(vdot(block, block)) if n_rows <= small else are_finite(block)
        ):
            input_reader.check_block(block)
        (array,) = run(names, {NUMBERS: block})
        if squeezed:
            array = drop_second_axis(array, output)
        if proves_finite and not are_finite(array):
            input_reader.check_block(block)
        if labels is not None:
            return labels_at(array, labels, output, n_rows)
        # == and not "is": onnxruntime's int64 is another object than numpy's.
        if array.dtype == trained_dtype and array.ndim and len(array) == n_rows:
            return array
        return to_trained_dtype(array, output, n_rows)

    def predict_slices(block: NDArray[Any], n_rows: int) -> NDArray[Any]:
        slices = (block[i : i + max_rows] for i in range(0, n_rows, max_rows))
        try:
            return join_slices(([predict_block(part, len(part))] for part in slices), n_rows)[0]
        except InputError:
            input_reader.check_block(block)  # counts rows from the start of the table
            raise

    return predict_block
