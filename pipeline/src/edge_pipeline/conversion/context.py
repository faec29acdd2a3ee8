"""Recursion: from a fitted estimator to the converter that knows its class.

A converter is a function ``(context, estimator, X) -> answer`` for one method of one class; a
family module lists its own in a table ``CONVERTERS: {class: {method: function}}``.
Meta-estimators call :meth:`Context.call` on their parts.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import NUMBERS, STRINGS, Column, Schema
from edge_runtime.vectorizers.specification import (
    Derived,
    Norm,
    Placing,
    Reading,
)

from edge_pipeline.conversion.column_frame import Frame, frame_of, matrix_of
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.vocabulary_size import check_size
from edge_pipeline.errors import UnsupportedEstimatorError

__all__ = ["CELLS", "Context", "Converter", "ImputedColumn", "MethodOutput", "Methods", "on_frame"]

CELLS = "cells"
"""Name of a tensor that stands for the columns of dicts and lists, and is never in the graph."""

MethodOutput = Any
"""A Tensor; a list of them (predict_proba of several targets); or a Frame (transform)."""

Converter = Callable[["Context", Any, Any], MethodOutput]
Methods = Mapping[str, Converter]


def on_frame(converter: Converter) -> Converter:
    """Mark *converter* as taking columns of any dtype (a Tensor or a Frame), not one matrix."""
    converter.takes_frame = True  # type: ignore[attr-defined]
    return converter


class ImputedColumn(NamedTuple):
    """A column before its gaps were filled: *mark*, which stood for a gap, became *fill*."""

    tensor: Tensor
    position: int
    marker: Any
    fill_value: Any


class Context:
    """One conversion under way: the graph, the table of converters, and where we are.

    Parameters
    ----------
    graph
        Receives the nodes.
    find
        The converters of an estimator's class, or None.
    guest
        Converts what *find* does not know (skl2onnx), or raises UnsupportedEstimatorError.
    schema
        Of the graph's inputs; its derived blocks may be asked for with :meth:`derive`; or none
        yet, and then they are collected in ``derived``.
    gaps
        Column name to what stands for a missing string in it: None, NaN or pandas.NA.

    Attributes
    ----------
    boolean_columns
        Columns that were boolean in training: tensor name and position.
    derived
        Blocks that converters have asked for, in that order.
    closed
        Column of the schema to the values that it may hold, where scikit-learn refuses others.
    bounded
        The same, to the smallest and the largest number.
    """

    def __init__(
        self,
        graph: Graph,
        find: Callable[[Any], Methods | None],
        guest: Callable[[Context, Any, str, Any], MethodOutput],
        schema: Schema | None = None,
        gaps: Mapping[str, Any] | None = None,
    ) -> None:
        self._gaps = gaps or {}
        schema = schema or Schema("array", ())
        self.graph = graph
        self.derived: list[Derived] = []
        self.closed: dict[str, frozenset[str | float]] = {}
        self.bounded: dict[str, tuple[float, float]] = {}
        self._schema = schema
        columns = schema.columns
        self.boolean_columns = frozenset(
            (NUMBERS, i) for i, at in enumerate(schema.numeric) if columns[at].type == "bool"
        )
        self._raw = {(STRINGS, i): columns[at] for i, at in enumerate(schema.textual)}
        loose = [column for column in columns if column.type in ("dict", "list")]
        self._raw.update({(CELLS, i): column for i, column in enumerate(loose)})
        self._numeric = {(NUMBERS, i): columns[at] for i, at in enumerate(schema.numeric)}
        self._filled: dict[tuple[str, int], ImputedColumn] = {}
        self._find = find
        self._vectors: dict[str, Frame] = {}
        self._guest = guest
        self._path: tuple[str, ...] = ()
        self._answers: dict[Any, tuple[Any, MethodOutput]] = {}
        self._doubts: list[Tensor] = []

    def call(self, estimator: Any, method: str, X: Tensor | Frame, *, at: str = "") -> MethodOutput:
        """What ``estimator.method(X)`` answers, as tensors.

        Parameters
        ----------
        at
            Where the estimator stands in its parent, e.g. ``steps[1]``; for error messages.

        Raises
        ------
        UnsupportedEstimatorError
            No converter knows it, or the converter does not know one of its parameters.
        """

        def convert() -> MethodOutput:
            with self._entered(estimator, at):
                return self._convert(estimator, method, X)

        return self.cached(estimator, method, X, convert)

    def cached(
        self, estimator: Any, part: str, X: Tensor | Frame, make: Callable[[], MethodOutput]
    ) -> MethodOutput:
        """What *make* answers, made once: a *part* of a formula that several methods share.

        Equal nodes exist once anyway; this spares making the arrays of a large forest again.
        """
        key = (id(estimator), part, X if isinstance(X, Tensor) else X.columns)
        if key not in self._answers:
            self._answers[key] = (estimator, make())
        return self._answers[key][1]

    def transform(self, estimator: Any, X: Tensor | Frame, *, at: str = "") -> Tensor | Frame:
        """``estimator.transform(X)``."""
        answer: Tensor | Frame = self.call(estimator, "transform", X, at=at)
        return answer

    def _behind(self, X: Tensor | Frame) -> Frame:
        """*X* as columns; of a vector, the column that it was made of."""
        column = self._vectors.get(X.name) if isinstance(X, Tensor) else None
        return column or frame_of(X)

    def trained_dtype(self, X: Tensor | Frame) -> np.dtype[Any]:
        """What dtype the array had in training, where *X* is columns of the model's input.

        The graph's input is float64 throughout; an array of whole numbers or of booleans alone was
        int64 or bool to a user's function.
        """
        keys = [(tensor.name, place) for tensor, place in self._behind(X).columns]
        types = {column.type if (column := self._numeric.get(key)) else "" for key in keys}
        return np.dtype(types.pop() if types in ({"bool"}, {"int64"}) else np.float64)

    def vector(self, column: Frame) -> Tensor:
        """One column as a vector; :meth:`derive` finds the column behind it."""
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
        """Counts that the runtime makes of a column of text, dicts or lists, outside the graph.

        Parameters
        ----------
        X
            One column of the model's input, as it is.
        reading, placing, binary, norm
            As in :class:`edge_runtime.vectorizers.specification.Derived`.

        Returns
        -------
        Tensor, shape (n_samples, placing.n_columns)
            float64, a slice of the graph input ``numbers``.
        """
        frame = self._behind(X)
        tensor, position = frame.columns[0]
        column = self._raw.get((tensor.name, position)) if frame.width == 1 else None
        if column is None:
            raise self.refuse(
                "it must read one column of the model's input itself, not what another step has "
                "made of it; put it first, in a ColumnTransformer with the column's name"
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
        place = self.derived.index(block)
        if not self._schema.derived:
            # Nobody knows yet how wide the input will be: converting.py comes here again.
            return Tensor(self.graph, f"derived:{place}", np.dtype(np.float64), (None, block.width))
        start = len(self._schema.numeric) + sum(b.width for b in self._schema.derived[:place])
        width = self._schema.numbers_width
        numbers = Tensor(self.graph, NUMBERS, np.dtype(np.float64), (None, width))
        return numbers if block.width == width else numbers[:, start : start + block.width]

    def record_imputation(
        self, made: Tensor | Frame, source: Frame, mark: Any, fills: Sequence[Any]
    ) -> None:
        """Tell that the first columns of *made* are those of *source* with their gaps filled.

        Parameters
        ----------
        mark, fills
            What stood for a gap, and what each column has in its place.
        """
        columns = frame_of(made).columns[: source.width]
        for (tensor, place), before, fill in zip(columns, source.columns, fills, strict=True):
            self._filled[tensor.name, place] = ImputedColumn(*before, mark, fill)

    def marker_matches(self, mark: Any, X: Frame) -> list[bool]:
        """Whether *mark* covers the gaps of each column: ``_get_mask`` takes None for a word."""
        columns = [self._raw.get((tensor.name, place)) for tensor, place in X.columns]
        if not pd.isna(mark):
            return [True] * X.width
        return [
            not (c and c.missing) or (self._gaps.get(c.name) is None) == (mark is None)
            for c in columns
        ]

    def before_imputation(self, tensor: Tensor, place: int) -> ImputedColumn | None:
        """The column as it was before an imputer filled its gaps, or None when none has."""
        return self._filled.get((tensor.name, place))

    def restrict_values(self, X: Frame, values: Sequence[Sequence[Any]]) -> None:
        """Tell that scikit-learn refuses all but *values* in the columns of *X*.

        The runtime then refuses them too, where a column is one of the model's input, as it is or
        with its gaps filled.  Missing values are let through as the schema says.
        """
        for (tensor, place), listed in zip(X.columns, values, strict=True):
            column, marks = self._origin(tensor, place)
            if column is None:
                continue
            kind = str if column.is_string else float
            known = frozenset(kind(value) for value in (*listed, *marks) if not pd.isna(value))
            self.closed[column.name] = self.closed.get(column.name, known) & known

    def restrict_range(
        self, X: Tensor | Frame, low: Sequence[float], high: Sequence[float]
    ) -> Tensor:
        """*X*, of which scikit-learn refuses numbers beyond *low* and *high*.

        The runtime refuses them where a column is one of the model's input, as it is or with its
        gaps filled; what other steps have made stops the graph.
        """
        frame = self._behind(X)
        unknown = False
        for (tensor, place), bottom, top in zip(frame.columns, low, high, strict=True):
            column, marks = self._origin(tensor, place)
            if column is None or not all(map(pd.isna, marks)):
                unknown = True
                continue
            before = self.bounded.get(column.name, (bottom, top))
            self.bounded[column.name] = max(before[0], bottom), min(before[1], top)
        matrix = self.matrix(X)
        if not unknown:
            return matrix
        # What other steps have made may be rounded otherwise than in training, where it was within.
        slack = 1e-12 * np.abs([low, high])
        beyond = (matrix < np.asarray(low) - slack[0]) | (matrix > np.asarray(high) + slack[1])
        # A graph cannot raise; Gather refuses the position 1 of one number.
        return matrix + ops.take(np.zeros(1), beyond.astype(np.int64))

    def _origin(self, tensor: Tensor, place: int) -> tuple[Column | None, list[Any]]:
        """The schema's column behind one whose gaps were filled or not, and the gaps' marks."""
        key, marks = (tensor.name, place), []
        while (before := self._filled.get(key)) is not None:
            key = before.tensor.name, before.position
            marks.append(before.marker)
        return self._numeric.get(key) or self._raw.get(key), marks

    def labels(self, classes: Any, index: Tensor) -> Tensor:
        """Class labels at *index*, of the dtype that *classes* have."""
        classes = np.asarray(classes)
        if classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes))):
            return index
        return ops.take(classes, index, 0)

    def converter(self, estimator: Any, method: str) -> Converter | None:
        """The converter that :meth:`call` would use, or None when the guest would be asked."""
        return (self._find(estimator) or {}).get(method)

    def matrix(self, X: Tensor | Frame) -> Tensor:
        """*X* as one tensor of two dimensions or more; a vector becomes a column.

        Raises
        ------
        UnsupportedEstimatorError
            It holds numbers and strings, or dicts or lists.
        """
        if isinstance(X, Frame) and any(tensor.name == CELLS for tensor, _ in X.columns):
            raise self.refuse(
                "it takes one matrix, and a column holds dicts or lists; put a DictVectorizer, "
                "FeatureHasher or MultiLabelBinarizer before it"
            )
        try:
            return matrix_of(X)
        except ValueError as error:
            raise self.refuse(
                f"it takes one matrix, but {error}; encode the strings before it, "
                "e.g. with OneHotEncoder in a ColumnTransformer"
            ) from error

    def refuse(self, reason: str, *, drawn: bool = False) -> UnsupportedEstimatorError:
        """The error to raise for the estimator being converted: which parameter, and the remedy.

        Parameters
        ----------
        drawn
            scikit-learn draws the answer of this method at random; others may still be served.
        """
        return UnsupportedEstimatorError(reason, path=" -> ".join(self._path), drawn=drawn)

    def mark_ambiguous(self, rows: Tensor) -> None:
        """Tell which rows scikit-learn's own answer does not determine: *rows* holds for them.

        Two training rows at the same distance when only one is wanted, a distance that is nothing
        but rounding: there scikit-learn answers by the number of threads, the layout in memory or
        the kind of CPU.  Such rows are answered, but neither compared nor kept as golden rows.

        Parameters
        ----------
        rows
            Booleans, shape (n_samples,).  Not part of the device's graph.
        """
        if rows.graph is self.graph:
            self._doubts.append(rows)

    def ambiguous_rows(self) -> Tensor | None:
        """The rows that some part doubts, or None when no part ever does."""
        if not self._doubts:
            return None
        return functools.reduce(operator.or_, self._doubts)

    def _convert(self, estimator: Any, method: str, X: Tensor | Frame) -> MethodOutput:
        methods = self._find(estimator)
        if methods is None or method not in methods:
            return self._guest(self, estimator, method, X)
        converter = methods[method]
        takes_frame = getattr(converter, "takes_frame", False)
        return converter(self, estimator, X if takes_frame else self.matrix(X))

    @contextmanager
    def _entered(self, estimator: Any, at: str) -> Iterator[None]:
        """Remember where we are: ``Pipeline.steps[1] -> ColumnTransformer['text'] -> …``."""
        outer = self._path
        *above, parent = outer or ("",)
        place = at if not at or at.startswith("[") else f".{at}"
        self._path = (
            (*above, parent + place, type(estimator).__name__)
            if outer
            else (type(estimator).__name__,)
        )
        try:
            yield
        finally:
            self._path = outer
