"""Multiply rows by sparse training rows, which stay sparse in the file.

ONNX has no sparse product.  The graph takes the row's numbers at the columns of the stored entries,
and multiplies them by the entries.  Then it adds up the products of each training row.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.fitted_arrays import dense_array
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.loops import map_rows
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["dense_rows", "row_products", "stays_sparse"]

MIN_SPARSE_NUMBERS = 1 << 15
"""Fewer numbers become dense: 256 KiB."""

MAX_DENSITY = 1 / 16
"""Largest share of stored entries of rows that stay sparse.

An entry takes 5 ns of a prediction, a number of a dense row 0.3 ns."""

MAX_DENSE_NUMBERS = 1 << 23
"""Most numbers that sparse rows become when a metric needs them dense: 64 MiB."""


def stays_sparse(rows: Any) -> bool:
    """Whether *rows* are sparse, large, and nearly empty."""
    if not sparse.issparse(rows):
        return False
    size = rows.shape[0] * rows.shape[1]
    return bool(size >= MIN_SPARSE_NUMBERS and rows.nnz <= MAX_DENSITY * size)


def dense_rows(context: Context, rows: Any) -> NDArray[np.float64]:
    """Return training rows as a dense array.

    Raises
    ------
    UnsupportedEstimatorError
        They are sparse, and would be too large.
    """
    n_rows, n_columns = rows.shape
    if stays_sparse(rows) and n_rows * n_columns > MAX_DENSE_NUMBERS:
        raise context.refuse(
            f"its {n_rows:,} sparse training rows of {n_columns:,} columns would take "
            f"{n_rows * n_columns * 8 >> 20:,} MB in the file, because this metric needs them "
            "dense; put TruncatedSVD before it, or use metric='euclidean' or 'cosine' with "
            "algorithm='brute', which keep them sparse"
        )
    return dense_array(rows)


def row_products(X: Tensor, rows: Any) -> Tensor:
    """Compute ``X @ rows.T``, shape (n_samples, len(rows)).

    Each row of *X* alone: the products take the memory of all entries.
    """
    entries = sparse.csr_matrix(rows, dtype=np.float64)
    entries.sort_indices()
    n_rows = entries.shape[0]
    columns = _column_indices(X.graph, entries)
    values = X.graph.constant(entries.data)
    positions = _row_positions(X.graph, entries.indptr)

    def products_of_row(inner: Graph, row: Tensor) -> Tensor:
        products = ops.take(row, columns) * values
        return inner.node(
            "ScatterElements",
            np.zeros(n_rows),
            positions,
            products,
            reduction="add",
            axis=0,
            dtype=np.float64,
            shape=(n_rows,),
        )

    return map_rows(X, products_of_row)


def _column_indices(graph: Graph, entries: Any) -> Tensor:
    """Return the column of each entry; the file holds two bytes an entry for up to 65,536 columns.

    onnxruntime puts the bytes together when it loads the graph.
    """
    indices = entries.indices.astype(np.int64)
    n_bytes = max(1, (int(entries.shape[1]).bit_length() + 7) // 8)
    parts = [
        graph.constant((indices >> 8 * i & 0xFF).astype(np.uint8)).astype(np.int32)
        * np.int32(1 << 8 * i)
        for i in range(n_bytes)
    ]
    return functools.reduce(operator.add, parts)


def _row_positions(graph: Graph, starts: NDArray[Any]) -> Tensor:
    """Return the row of each entry, made from where the rows start.

    onnxruntime computes this when it loads the graph; the file holds one number a row, not one an
    entry.
    """
    n_entries = int(starts[-1])
    starts = starts[1:-1]
    starts = starts[starts < n_entries].astype(np.int64)  # no row starts behind the last entry
    zeros = graph.node(
        "Expand",
        np.zeros(1, dtype=np.int32),
        np.array([n_entries], dtype=np.int64),
        dtype=np.int32,
        shape=(n_entries,),
    )
    counts = graph.node(
        "ScatterElements",
        zeros,
        starts,
        np.ones(len(starts), dtype=np.int32),
        reduction="add",
        axis=0,
        dtype=np.int32,
        shape=(n_entries,),
    )
    axis = np.array(0, dtype=np.int64)
    return graph.node("CumSum", counts, axis, dtype=np.int32, shape=(n_entries,))
