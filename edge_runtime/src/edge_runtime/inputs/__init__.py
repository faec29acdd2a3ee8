"""Validate the caller's rows and turn them into the two blocks that the graph reads.

Pure: no I/O and no onnxruntime.  A value enters the graph exactly as it is, or an InputError
refuses it and names row and column.  Nothing is rounded, clipped or filled in.
"""

from edge_runtime.inputs.single_row import RowWriter, row_writer
from edge_runtime.inputs.tables import ExtraColumns, InputReader

__all__ = ["ExtraColumns", "InputReader", "RowWriter", "row_writer"]
