"""Real rows of every intermediate table: what each step of the fitted pipeline gets and returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import NUMBERS, STRINGS

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.estimator_methods import dense
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.data.sample import Sample

__all__ = ["ExampleRows"]

MAX_ROWS = 256
"""Rows of the sample that pass through the steps."""

Place = tuple[str, int]
"""A column of the graph: the name of its tensor, and its position there."""


class ExampleRows:
    """The values that the columns of the graph have for rows of the training sample.

    Parameters
    ----------
    sample
        The rows.  A step's output is computed when it is first needed.
    """

    def __init__(self, sample: Sample) -> None:
        self._columns: dict[Place, pd.Series] = {}
        self._sources: dict[Place, tuple[Any, Tensor | Frame, Any, int]] = {}
        self._outputs: dict[int, tuple[Any, Any]] = {}
        if len(sample.table) and not sample.schema.loose:
            self._record_inputs(sample)

    def _record_inputs(self, sample: Sample) -> None:
        rows = sample.dense_rows(sample.table.head(MAX_ROWS))
        if sample.schema.kind not in ("table", "array"):
            return
        columns = [rows.iloc[:, i] if isinstance(rows, pd.DataFrame) else pd.Series(rows[:, i])
                   for i in range(rows.shape[1])]  # fmt: skip
        for block, positions in (
            (NUMBERS, sample.schema.numeric),
            (STRINGS, sample.schema.textual),
        ):
            for i, position in enumerate(positions):
                self._columns[block, i] = columns[position].reset_index(drop=True)

    def record_output(self, output: Any, transformer: Any, X: Tensor | Frame, names: Any) -> None:
        """Remember that *output* is ``transformer.transform(X)``."""
        if isinstance(output, Tensor) and (output.ndim != 2 or output.shape[1] is None):
            return
        if not isinstance(output, Tensor | Frame):
            return
        inputs = {(tensor.name, i) for tensor, i in frame_of(X).columns}
        for position, (tensor, i) in enumerate(frame_of(output).columns):
            place = tensor.name, i
            if place not in self._columns and place not in inputs:  # a column may pass through
                self._sources.setdefault(place, (transformer, X, names, position))

    def of(self, X: Tensor | Frame, names: Any) -> Any | None:
        """Return rows of *X*, a data frame where it has *names*; None where they are unknown."""
        columns = []
        for tensor, i in frame_of(X).columns:
            column = self._column((tensor.name, i))
            if column is None:
                return None
            columns.append(column)
        if names is not None:
            frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
            return frame.set_axis(list(names), axis=1)
        has_text = any(column.dtype == object or isinstance(column.dtype, pd.StringDtype)
                       for column in columns)  # fmt: skip
        if not has_text:
            return np.column_stack([column.to_numpy() for column in columns])
        return np.column_stack([column.astype(object).to_numpy() for column in columns])

    def _column(self, place: Place) -> pd.Series | None:
        if place in self._columns:
            return self._columns[place]
        if place not in self._sources:
            return None
        transformer, X, names, position = self._sources[place]
        if id(transformer) not in self._outputs:
            # The entry keeps the transformer alive, so that its id stays unique.
            self._outputs[id(transformer)] = transformer, self._run(transformer, X, names)
        output = self._outputs[id(transformer)][1]
        if output is None or position >= output.shape[1]:
            return None
        column = output.iloc[:, position].reset_index(drop=True)
        self._columns[place] = column
        return column

    def _run(self, transformer: Any, X: Tensor | Frame, names: Any) -> pd.DataFrame | None:
        rows = self.of(X, names)
        if rows is None:
            return None
        if getattr(transformer, "__single_column_transformer__", False):  # skrub's mark
            rows = rows.iloc[:, 0]
        try:
            output = transformer.transform(rows)
        except Exception:  # a user's own step may raise anything
            return None
        if isinstance(output, pd.Series):
            return output.to_frame()
        if hasattr(output, "columns") and hasattr(output, "iloc"):
            return pd.DataFrame(output)
        output = dense(output)
        return pd.DataFrame(output) if output.ndim == 2 else None
