"""Find the converter for every estimator, and record what the converters learn about the columns.

A converter is a function ``(context, estimator, X) -> output``.  It writes the nodes for one method
of one class and returns their tensors.  Each module in ``estimators/`` lists its converters in a
table ``CONVERTERS: {class: {method: function}}``.  The converter of a Pipeline, or of any other
meta-estimator, calls :meth:`Context.call` for its parts; so a conversion is a recursion over the
fitted estimators, with one Context for all of them.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Column, Schema
from edge_runtime.vectorizers.specification import Derived, Norm, Placing, Reading

from edge_pipeline.conversion import column_frame
from edge_pipeline.conversion.column_frame import Frame, ImputedColumn, frame_of, matrix_of
from edge_pipeline.conversion.converter_marks import expected_dtypes, on_any_dtype, on_frame
from edge_pipeline.conversion.date_kinds import dates_of_sample, fault_of_dates
from edge_pipeline.conversion.example_rows import ExampleRows
from edge_pipeline.conversion.frame_names import FrameNames, identity
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.sparse_outputs import with_zeros
from edge_pipeline.conversion.vocabulary_size import check_size
from edge_pipeline.data.sample import Sample
from edge_pipeline.data.tensors import columns_of_numbers
from edge_pipeline.errors import UnsupportedEstimatorError

__all__ = [
    "CELLS", "Context", "Converter", "MethodOutput", "Methods", "on_any_dtype", "on_frame",
]  # fmt: skip

CELLS = "cells"
"""Name of the tensor that represents columns of dicts and lists; it is never in the graph."""

MethodOutput = Any
"""A Tensor, a list of them (predict_proba of several targets), or a Frame (transform)."""

Converter = Callable[["Context", Any, Any], MethodOutput]
Methods = Mapping[str, Converter]


class Context:
    """The state of one conversion: the graph so far, and the place of the current estimator.

    A converter uses it to convert the parts of a meta-estimator (:meth:`call`, :meth:`transform`);
    to find the input column behind a tensor (:meth:`derive`, :meth:`before_imputation`,
    :meth:`input_column`); and to exclude ambiguous rows from the verification
    (:meth:`mark_ambiguous`).

    Parameters
    ----------
    graph
        Receives the nodes.
    find
        Returns the converters for an estimator's class, or None.
    fallback
        Converts estimators that *find* does not know, with skl2onnx, or raises
        UnsupportedEstimatorError.
    sample
        Describes the columns of the graph's inputs.  The derived blocks of its schema are available
        from :meth:`derive`; while it has none, *derive* collects them in ``derived``.

    Attributes
    ----------
    boolean_columns
        Columns that were boolean in training, as tensor name and position.
    dates
        Columns that hold dates, as tensor name and position: microseconds since 1970.
    derived
        Blocks that converters requested from :meth:`derive`, in that order.
    allowed_values
        Column name to the values that scikit-learn accepts, where it refuses all others.
    names
        The column names of data frames.
    allowed_ranges
        Column name to the smallest and the largest number that scikit-learn accepts.
    has_float32_functions
        Whether an estimator computes functions in float32 by numpy, so that its own predictions
        differ by the last bits of float32 from one CPU to another.
    """

    def __init__(
        self,
        graph: Graph,
        find: Callable[[Any], Methods | None],
        fallback: Callable[[Context, Any, str, Any], MethodOutput],
        sample: Sample | None = None,
    ) -> None:
        self.graph = graph
        self.derived: list[Derived] = []
        self.allowed_values: dict[str, frozenset[str | float]] = {}
        self.allowed_ranges: dict[str, tuple[float, float]] = {}
        self._find = find
        self._fallback = fallback
        sample = sample or Sample(Schema("array", ()), pd.DataFrame(), (), ())
        self._schema = schema = sample.schema
        self._missing_markers = dict(zip(schema.names, sample.missing_markers, strict=True))
        self._categorical_columns = sample.categorical_columns
        columns = schema.columns
        self._numeric = {(NUMBERS, i): c for i, c in enumerate(columns_of_numbers(schema))}
        self._non_numeric = {(STRINGS, i): columns[p] for i, p in enumerate(schema.textual)}
        cells = (column for column in columns if column.type in ("dict", "list"))
        self._non_numeric.update({(CELLS, i): column for i, column in enumerate(cells)})
        places = {**self._numeric, **self._non_numeric} if schema.kind == "table" else {}
        self.names = FrameNames({place: column.name for place, column in places.items()})
        self._examples = ExampleRows(sample)
        self.boolean_columns = frozenset(
            place for place, column in self._numeric.items() if column.type == "bool"
        )
        self.dates = dates_of_sample(sample)
        self._imputed: dict[tuple[str, int], ImputedColumn] = {}
        self._vectors: dict[str, Frame] = {}
        self._path: tuple[str, ...] = ()
        self._outputs: dict[Any, tuple[Any, MethodOutput]] = {}
        self._ambiguous_rows: dict[str, list[Tensor]] = {}
        self.has_float32_functions = False
        self.promoted: dict[str, str] = {}

    def call(self, estimator: Any, method: str, X: Tensor | Frame, *, at: str = "") -> MethodOutput:
        """Convert ``estimator.method(X)``, and return its tensors.

        Parameters
        ----------
        at
            The estimator's place in its parent, e.g. ``steps[1]``; for error messages.

        Raises
        ------
        UnsupportedEstimatorError
            There is no converter, or the converter does not support one of the parameters.
        """

        def convert() -> MethodOutput:
            with self._in_path(estimator, at):
                output = self._convert(estimator, method, X)
            if method == "transform":
                self.names.record_output(output, estimator)
                output = with_zeros(output, estimator, X)
                self._examples.record_output(output, estimator, X, self.names.of(X))
            return output

        return self.cached(estimator, method, X, convert)

    def cached(
        self, estimator: Any, part: str, X: Tensor | Frame, make: Callable[[], MethodOutput]
    ) -> MethodOutput:
        """Call *make* once for each *part* of a formula that several methods share.

        The graph stores equal nodes once in any case; this saves the time to build the arrays of a
        large forest again.
        """
        key = (id(estimator), part, identity(X))
        if key not in self._outputs:
            # The entry keeps the estimator alive, so that its id stays unique.
            self._outputs[key] = (estimator, make())
        return self._outputs[key][1]

    def transform(self, estimator: Any, X: Tensor | Frame, *, at: str = "") -> Tensor | Frame:
        """Convert ``estimator.transform(X)``."""
        output: Tensor | Frame = self.call(estimator, "transform", X, at=at)
        return output

    def columns_of(self, X: Tensor | Frame) -> Frame:
        """Return *X* as columns; a vector as the column that :meth:`vector` made it from."""
        column = self._vectors.get(X.name) if isinstance(X, Tensor) else None
        return column or frame_of(X)

    def trained_dtype(self, X: Tensor | Frame) -> np.dtype[Any]:
        """Return the dtype that the array had in training, where *X* is columns of the input.

        The graph's input is always float64.  In training, an array of integers only, or of
        booleans only, reached a user's function as int64 or bool.
        """
        places = [(tensor.name, i) for tensor, i in self.columns_of(X).columns]
        types = {self._numeric[place].type if place in self._numeric else "" for place in places}
        return np.dtype(types.pop() if types in ({"bool"}, {"int64"}) else np.float64)

    def is_input(self, X: Tensor | Frame) -> bool:
        """Whether *X* is columns of the model's numeric input, unchanged."""
        return all((tensor.name, i) in self._numeric for tensor, i in self.columns_of(X).columns)

    def has_category_dtype(self, tensor: Tensor, position: int) -> bool:
        """Whether a column is one of the input that had pandas' dtype "category" in training."""
        place = (tensor.name, position)
        column = self._numeric.get(place) or self._non_numeric.get(place)
        return column is not None and column.name in self._categorical_columns

    def vector(self, column: Frame) -> Tensor:
        """Return one column as a vector, and remember the column for :meth:`derive`."""
        tensor = ops.squeeze(column.matrix(), 1)
        self._vectors[tensor.name] = column
        return tensor

    def derive(
        self,
        X: Tensor | Frame,
        reading: Reading,
        placing: Placing,
        *,
        binary: bool = False,
        norm: Norm = "none",
    ) -> Tensor:
        """Request counts that the device computes outside the graph, from text, dicts or lists.

        Parameters
        ----------
        X
            One column of the model's input, unchanged.
        reading, placing, binary, norm
            As in :class:`edge_runtime.vectorizers.specification.Derived`.

        Returns
        -------
        Tensor, shape (n_samples, placing.n_columns)
            float64, a slice of the graph input ``numbers``.
        """
        frame = self.columns_of(X)
        tensor, position = frame.columns[0]
        column = self._non_numeric.get((tensor.name, position)) if frame.width == 1 else None
        if column is None:
            raise self.refuse(
                "it must read a column of the model's input directly, and not the output of "
                "another step; put it first, in a ColumnTransformer with the column's name"
            )
        block = Derived(column.name, reading, placing, binary, norm)
        if column.type != block.reads:
            raise self.refuse(
                f"it reads a {block.reads} in every row, and column {column.name!r} holds a "
                f"{column.type}"
            )
        if block not in self.derived:
            check_size(placing, self.refuse)
            self.derived.append(block)
        index = self.derived.index(block)
        if not self._schema.derived:
            # The width of the input is not known yet; convert_sample converts again, knowing it.
            return Tensor(self.graph, f"derived:{index}", np.dtype(np.float64), (None, block.width))
        start = len(self._schema.numeric) + sum(b.width for b in self._schema.derived[:index])
        width = self._schema.numbers_width
        numbers = Tensor(self.graph, NUMBERS, np.dtype(np.float64), (None, width))
        return numbers if block.width == width else numbers[:, start : start + block.width]

    def record_imputation(
        self, imputed: Tensor | Frame, source: Frame, marker: Any, fill_values: Sequence[Any]
    ) -> None:
        """Record that the first columns of *imputed* are *source* without missing values.

        Parameters
        ----------
        marker, fill_values
            What marked a missing value, and what each column has in its place.
        """
        columns = frame_of(imputed).columns[: source.width]
        for (tensor, i), column, fill in zip(columns, source.columns, fill_values, strict=True):
            self._imputed[tensor.name, i] = ImputedColumn(*column, marker, fill)

    def example_rows(self, X: Tensor | Frame) -> Any | None:
        """Return rows of the training sample as *X* has them; None where they are unknown."""
        return self._examples.of(X, self.names.of(X))

    def known_categories(self, tensor: Tensor, position: int) -> Sequence[str]:
        """Return the texts that a column of the input had in training; none for other columns."""
        column = self._non_numeric.get((tensor.name, position))
        return [str(text) for text in (column.categories or ())] if column else []

    def marker_matches(self, marker: Any, X: Frame) -> list[bool]:
        """Whether *marker* is the missing value of each column.

        For strings, ``_get_mask`` of scikit-learn compares with None by equality, so that None
        does not match NaN.
        """
        if not pd.isna(marker):
            return [True] * X.width
        columns = [self._non_numeric.get((tensor.name, i)) for tensor, i in X.columns]
        return [
            not (column and column.missing)
            or (self._missing_markers.get(column.name) is None) == (marker is None)
            for column in columns
        ]

    def before_imputation(self, tensor: Tensor, position: int) -> ImputedColumn | None:
        """Return the column before an imputer replaced its missing values; None if none did."""
        return self._imputed.get((tensor.name, position))

    def input_column(self, tensor: Tensor, position: int) -> tuple[Column | None, list[Any]]:
        """Return the schema's column that *tensor* holds, imputed or not, and the markers."""
        place, markers = (tensor.name, position), []
        while (before := self._imputed.get(place)) is not None:
            place = before.tensor.name, before.position
            markers.append(before.marker)
        return self._numeric.get(place) or self._non_numeric.get(place), markers

    def labels(self, classes: Any, index: Tensor) -> Tensor:
        """Return the class labels at *index*, in the dtype of *classes*."""
        classes = np.asarray(classes)
        if classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes))):
            return index
        return ops.take(classes, index, 0)

    def converter(self, estimator: Any, method: str) -> Converter | None:
        """Return the converter that :meth:`call` uses, or None when it uses the fallback."""
        return (self._find(estimator) or {}).get(method)

    def in_dtypes_of(self, converter: Converter, X: Tensor | Frame) -> Tensor | Frame:
        """Return *X* in the dtypes that *converter* takes; record what was promoted."""
        return expected_dtypes(converter, X, self.promoted, self._path)

    def matrix(self, X: Tensor | Frame) -> Tensor:
        """Return *X* as one tensor of at least two dimensions; a vector becomes a column.

        Raises
        ------
        UnsupportedEstimatorError
            It holds both numbers and strings, or dicts or lists.
        """
        if fault := column_frame.fault_of_cells(X, CELLS) or fault_of_dates(X, self.dates):
            raise self.refuse(fault)
        try:
            return matrix_of(X)
        except ValueError as error:
            raise self.refuse(
                f"it takes one matrix, but {error}; encode the strings before it, "
                "e.g. with OneHotEncoder in a ColumnTransformer"
            ) from error

    def refuse(self, reason: str, *, is_random: bool = False) -> UnsupportedEstimatorError:
        """Make the error for the current estimator: which parameter, and the remedy.

        Parameters
        ----------
        is_random
            scikit-learn draws the output of this method at random; other methods may convert.
        """
        return UnsupportedEstimatorError(reason, path=" -> ".join(self._path), is_random=is_random)

    @property
    def is_part(self) -> bool:
        """Whether the estimator that is converted is a part of another."""
        return len(self._path) > 1

    def mark_ambiguous(self, rows: Tensor, method: str = "predict") -> None:
        """Mark the rows for which scikit-learn's own prediction is ambiguous.

        Examples: two training rows at the same distance, or a distance that is only rounding.
        There scikit-learn's prediction depends on threads, memory layout or CPU.  The device
        predicts such rows, but they are neither compared nor golden rows.

        Parameters
        ----------
        rows
            Booleans, shape (n_samples,).  Not part of the device's graph.
        method
            ``predict`` marks the rows for every method, another name for that method alone.
        """
        if rows.graph is self.graph:
            self._ambiguous_rows.setdefault(method, []).append(rows)

    def record_float32_functions(self) -> None:
        """Record that the estimator computes log, exp or the like in float32 by numpy."""
        self.has_float32_functions = True

    def ambiguous_rows(self) -> dict[str, Tensor]:
        """Return the rows that converters marked ambiguous, by method; see mark_ambiguous."""
        rows_by_method = self._ambiguous_rows.items()
        return {method: functools.reduce(operator.or_, rows) for method, rows in rows_by_method}

    def _convert(self, estimator: Any, method: str, X: Tensor | Frame) -> MethodOutput:
        converter = self.converter(estimator, method)
        if converter is None:
            return self._fallback(self, estimator, method, X)
        X = self.in_dtypes_of(converter, X)
        takes_frame = getattr(converter, "takes_frame", False)
        return converter(self, estimator, X if takes_frame else self.matrix(X))

    @contextmanager
    def _in_path(self, estimator: Any, at: str) -> Iterator[None]:
        """Extend the path of error messages: ``Pipeline.steps[1] -> ColumnTransformer['text']``."""
        outer = self._path
        if outer:
            *above, parent = outer
            place = at if not at or at.startswith("[") else f".{at}"
            self._path = (*above, parent + place, type(estimator).__name__)
        else:
            self._path = (type(estimator).__name__,)
        try:
            yield
        finally:
            self._path = outer
