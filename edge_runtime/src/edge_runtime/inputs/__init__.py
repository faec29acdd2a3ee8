"""The border: rows from the caller in, the two blocks the graph reads out; nothing else passes.

Pure: no I/O and no onnxruntime.  A value is either carried over exactly or refused with an
InputError that names row and column; nothing is cast with loss, clipped or filled in.
"""

from edge_runtime.inputs.rows import RowWriter, row_writer
from edge_runtime.inputs.tables import ExtraColumns, InputReader

__all__ = ["ExtraColumns", "InputReader", "RowWriter", "row_writer"]
