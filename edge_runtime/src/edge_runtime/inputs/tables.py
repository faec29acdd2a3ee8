"""Check a table of any kind and convert it to the graph's input blocks.

A data frame is recognised by its methods; neither pandas nor polars is imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from edge_runtime.bundle.schema import CELLS, NUMBERS, STRINGS, Column, Schema
from edge_runtime.errors import EdgeRuntimeError, InputError
from edge_runtime.inputs.cells import describe_error, kind_name
from edge_runtime.inputs.columns import (
    Cells,
    are_finite,
    check_numbers,
    column_to_numpy,
    number_column,
    text_column,
    unmasked,
    whole_numbers_to_float64,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.inputs.allowed_values import AllowedValues
    from edge_runtime.inputs.tensors import TensorReader

__all__ = ["ExtraColumns", "Feeds", "InputReader"]

ExtraColumns = Literal["refuse", "ignore"]
"""The treatment of a column that the schema does not name."""

Feeds: TypeAlias = "dict[str, NDArray[Any]]"

_FLOAT64 = np.dtype(np.float64)
_TEXT = frozenset((str,))
_MOST_LISTED_NAMES = 5
_MOST_UNKNOWN_NAMES = 1000
"""Unknown names that are compared with the missing ones."""


class InputReader:
    """Converts a table to the graph's blocks, or refuses it.

    Parameters
    ----------
    schema
        The columns that the model expects.
    extra_columns
        Whether columns that the schema does not name are refused or ignored.
    """

    def __init__(self, schema: Schema, *, extra_columns: ExtraColumns = "refuse") -> None:
        if extra_columns not in get_args(ExtraColumns):
            raise ValueError(
                f"extra_columns must be one of {get_args(ExtraColumns)}, found {extra_columns!r}"
            )
        self.schema = schema
        self.extra_columns = extra_columns
        self._names = frozenset(schema.names)
        self._accepted_names = self._names.union(schema.ignored)
        self._numeric = tuple(schema.columns[i] for i in schema.numeric)
        # Dates need a conversion, so that they take the way of mixed columns.
        self._only_numbers = len(schema.numeric) == len(schema.columns) and not any(
            column.type == "datetime" for column in schema.columns
        )
        self._has_flags = any(column.type == "bool" for column in schema.columns)
        self._width = len(schema.columns)
        self.tensors: TensorReader | None = None
        if schema.columns and (tensor := schema.columns[0].tensor) is not None:
            from edge_runtime.inputs.tensors import TensorReader  # which few models need

            self.tensors = TensorReader(schema.columns[0], tensor)
        self.allowed_values: AllowedValues | None = None
        if any(column.closed or column.limits is not None for column in schema.columns):
            from edge_runtime.inputs.allowed_values import AllowedValues  # which few models need

            self.allowed_values = AllowedValues(schema)
        # Whether any finite number is valid in any column: arrays then take a faster path.
        self.takes_any_number = (
            self._only_numbers
            and not self._has_flags
            and not self.allowed_values
            and not schema.derived
            and schema.kind != "lists"
        )
        self.takes_missing = all(column.missing for column in self._numeric)

    def with_extra_columns(self, extra_columns: ExtraColumns | None) -> InputReader:
        """Return a reader that treats extra columns so; None keeps the treatment."""
        if extra_columns is None or extra_columns == self.extra_columns:
            return self
        return InputReader(self.schema, extra_columns=extra_columns)

    def check_block(self, block: NDArray[Any]) -> None:
        """Refuse the first invalid cell of a float64 *block*, where all columns are numeric.

        Raises
        ------
        InputError
            With the row and the column.
        """
        check_numbers(block, self._numeric)
        if self.allowed_values:
            self.allowed_values.check_blocks({NUMBERS: block})

    def feeds(self, X: Any) -> tuple[Feeds, int]:
        """Return the graph's inputs for *X*, and the number of rows.

        A C-contiguous float64 array of numeric columns is not copied, nor is a tensor.

        Raises
        ------
        InputError
            The table, a column or a cell does not match the schema.
        """
        if self.tensors is not None:
            block = self.tensors.block(X)
            return {NUMBERS: block}, len(block)
        try:
            return self._feeds(X)
        except (EdgeRuntimeError, MemoryError):
            raise
        except Exception as error:  # the methods of a foreign class may raise anything
            raise InputError(
                f"the {kind_name(X)} cannot be read as a table: {describe_error(error)}; pass an "
                "array, a data frame or a list of rows"
            ) from error

    def _feeds(self, X: Any) -> tuple[Feeds, int]:
        if isinstance(X, np.ndarray):
            return self._from_array(X if type(X) is np.ndarray else unmasked(X))
        if isinstance(X, Mapping):
            return self._from_columns(list(X), X.__getitem__)
        if isinstance(X, memoryview):
            return self._from_array(np.asarray(X))
        if hasattr(X, "collect") and hasattr(X, "explain"):  # a polars LazyFrame
            raise InputError(f"expected a table, found a {type(X).__name__}; pass X.collect()")
        if isinstance(X, str | bytes | bytearray):
            raise InputError(
                f"expected a table, found one {type(X).__name__}; pass a list of rows, or predict "
                "a file with the command: edge-runtime predict MODEL FILE"
            )
        if hasattr(X, "toarray"):
            raise InputError(
                f"expected a dense table, found the sparse {type(X).__name__}; pass X.toarray()"
            )
        if hasattr(X, "columns") and hasattr(X, "to_numpy"):
            return self._from_frame(X)
        if hasattr(X, "column_names"):  # an Arrow table
            return self._from_columns(list(X.column_names), X.column)
        if hasattr(X, "to_numpy"):
            return self._from_array(column_to_numpy(X))
        if hasattr(X, "__array__"):
            return self._from_array(np.asarray(X))
        if isinstance(X, Sequence):
            return self._from_rows(X)
        raise InputError(
            "expected a 2-d array, a data frame, a dict of columns or a list of rows, found "
            f"{type(X).__name__}"
        )

    def check_names(self, names: list[Any], *, row: int | None = None) -> None:
        """Refuse a table or row that lacks a column, repeats one, or has an unknown one.

        A name that is no str is compared by its ``str()``.  *row* goes into the error.
        """
        names = text_names(names)
        unique = set(names)
        if len(unique) != len(names):
            repeated = next(name for name, times in Counter(names).items() if times > 1)
            raise InputError(f"the column name {repeated!r} appears twice; rename one", row=row)
        missing = [name for name in self.schema.names if name not in unique]
        extra = [name for name in names if name not in self._accepted_names]
        if missing:
            raise InputError(
                f"column missing: expected {_listed(missing)}, found "
                f"{_listed(names) if names else 'no columns'}{_suggestion(missing, extra)}",
                row=row,
                column=missing[0],
            )
        if extra and self.extra_columns != "ignore":
            raise InputError(
                f"the model does not know {_listed(extra)}; leave "
                f"{'that' if len(extra) == 1 else 'them'} out, or ignore extra "
                'columns (extra_columns="ignore")',
                row=row,
                column=str(extra[0]),
            )

    def _from_array(self, X: NDArray[Any]) -> tuple[Feeds, int]:
        if X.ndim == 1 and self.schema.loose:
            return self._blocks(len(X), lambda _: X)
        if self.schema.kind == "lists":
            return self._from_rows(X.tolist())
        if X.ndim == 1 and self.schema.kind == "vector":
            X = X[:, np.newaxis]
        if X.ndim != 2:
            raise InputError(
                f"expected a 2-d array (n_samples, {self._width}), found {X.ndim}-d of shape "
                f"{X.shape}; for one row use predict_one(row) or X.reshape(1, -1)"
            )
        if X.shape[1] != self._width:
            raise InputError(
                f"expected {quantity(self._width, 'column')}, found {X.shape[1]}; in order: "
                f"{_listed(self.schema.names)}"
            )
        if self._only_numbers and X.dtype.kind in "fiub" and X.dtype.char != "g":
            block = X
            if X.dtype is not _FLOAT64 or not X.flags.c_contiguous:
                block = np.ascontiguousarray(whole_numbers_to_float64(X, self._numeric))
            if self._has_flags or self.allowed_values or not are_finite(block):
                self.check_block(block)
            return {NUMBERS: block}, len(block)
        return self._blocks(len(X), lambda i: X[:, i])

    def _from_frame(self, X: Any) -> tuple[Feeds, int]:
        names = list(X.columns)
        by_position = self.schema.kind == "array" or self.schema.loose
        if by_position and set(text_names(names)) != self._names:
            # The model was trained without names: columns are matched by position.
            if len(names) != self._width:
                raise InputError(f"expected {quantity(self._width, 'column')}, found {len(names)}")
            position = dict(zip(self.schema.names, names, strict=True))
            if len(set(names)) == len(names):
                return self._blocks(len(X), lambda i: _cells(X[position[self.schema.names[i]]]))
        return self._from_columns(names, X.__getitem__, len(X))

    def _from_columns(
        self, names: list[Any], column: Callable[[Any], Any], n_rows: int | None = None
    ) -> tuple[Feeds, int]:
        self.check_names(names)
        key = dict(zip(text_names(names), names, strict=True))
        cells = [_cells(column(key[name])) for name in self.schema.names]
        lengths = {name: len(c) for name, c in zip(self.schema.names, cells, strict=True)}
        if len(set(lengths.values())) > 1:
            raise InputError(f"expected columns of one length, found {_listed(lengths.items())}")
        return self._blocks(len(cells[0]) if n_rows is None else n_rows, cells.__getitem__)

    def _from_rows(self, X: Sequence[Any]) -> tuple[Feeds, int]:
        if not len(X):
            return self._blocks(0, lambda _: [])
        if self.schema.kind in ("dicts", "lists"):
            return self._blocks(len(X), lambda _: X)
        if isinstance(X[0], Mapping):
            return self._from_dicts(X)
        if isinstance(X[0], str) or (self.schema.kind == "text" and X[0] is None):
            if self.schema.kind != "text":
                raise InputError(
                    f"expected rows of {quantity(self._width, 'cell')}, found a list of str; "
                    "for one row use predict_one(row), for more pass a list of rows"
                )
            return self._blocks(len(X), lambda _: X)
        width = self._width
        for row, cells in enumerate(X):
            is_row = isinstance(cells, Sequence) or (isinstance(cells, np.ndarray) and cells.ndim)
            if not is_row or isinstance(cells, str | bytes | bytearray):
                raise InputError(
                    f"expected a row of {quantity(width, 'cell')}, found {kind_name(cells)}; for "
                    "one row use predict_one(row)",
                    row=row,
                )
            if len(cells) != width:
                raise InputError(f"expected {quantity(width, 'cell')}, found {len(cells)}", row=row)
        return self._blocks(len(X), lambda i: [cells[i] for cells in X])

    def _from_dicts(self, X: Sequence[Any]) -> tuple[Feeds, int]:
        rows: Any = X
        for row, cells in enumerate(X):
            if not isinstance(cells, Mapping):
                raise InputError(f"expected a dict, found {type(cells).__name__}", row=row)
            if len(cells) != self._width or cells.keys() != self._names:
                names = list(cells)
                self.check_names(names, row=row)
                if text_names(names) is not names:
                    rows = list(X) if rows is X else rows
                    rows[row] = with_text_names(cells)
        return self._blocks(len(X), lambda i: [cells[self.schema.names[i]] for cells in rows])

    def _blocks(self, n_rows: int, cells: Callable[[int], Cells]) -> tuple[Feeds, int]:
        """Fill the blocks from ``cells(position in the schema)``."""
        schema = self.schema
        feeds: Feeds = {}

        def column_of(i: int, convert: Callable[[Cells, Column], Any]) -> Any:
            column = schema.columns[i]
            values = convert(_flat(cells(i)), column)
            if len(values) != n_rows:  # numpy would broadcast one cell to all rows
                raise InputError(
                    f"expected {quantity(n_rows, 'cell')}, as the table has rows, found "
                    f"{len(values)}",
                    column=column.name,
                )
            return values

        if schema.numeric:
            numbers = np.empty((n_rows, len(schema.numeric)))
            for place, i in enumerate(schema.numeric):
                numbers[:, place] = column_of(i, number_column)
            feeds[NUMBERS] = numbers
        if schema.textual:
            strings = np.empty((n_rows, len(schema.textual)), dtype=object)
            for place, i in enumerate(schema.textual):
                strings[:, place] = column_of(i, text_column)
            feeds[STRINGS] = strings
        if self.allowed_values:
            self.allowed_values.check_blocks(feeds)
        if schema.sources:
            raw = np.empty((n_rows, len(schema.sources)), dtype=object)
            for place, i in enumerate(schema.sources):
                if schema.columns[i].is_string:
                    raw[:, place] = feeds[STRINGS][:, schema.textual.index(i)]
                else:  # one by one: numpy reads a list of lists as a matrix
                    for row, cell in enumerate(column_of(i, _unchanged)):
                        raw[row, place] = cell
            feeds[CELLS] = raw
        return feeds, n_rows


def text_names(names: list[Any]) -> list[Any]:
    """Convert names to str, as in the schema; return the same list when all are str."""
    if _TEXT.issuperset(map(type, names)):
        return names
    return [name if isinstance(name, str) else str(name) for name in names]


def with_text_names(row: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return *row* with its names as str."""
    names = list(row)
    return dict(zip(text_names(names), [row[name] for name in names], strict=True))


def quantity(number: int, noun: str) -> str:
    """Write a number with its noun in singular or plural: 1 cell, 2 cells."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cells(column: Any) -> Cells:
    """Return a column of a data frame or a dict of columns as an array or a list."""
    if isinstance(column, np.generic) or (isinstance(column, np.ndarray) and not column.ndim):
        raise InputError(
            f"expected a column of cells, found one {kind_name(column)}; for one row use "
            "predict_one(row)"
        )
    if isinstance(column, np.ndarray):
        return unmasked(column)
    if hasattr(column, "to_numpy"):  # pandas, polars and pyarrow
        return column_to_numpy(column)
    if hasattr(column, "__array__"):
        return np.asarray(column)
    if isinstance(column, str | bytes) or not isinstance(column, Sequence):
        raise InputError(
            f"expected a column of cells, found {kind_name(column)}; for one row use "
            "predict_one(row)"
        )
    return column


def _unchanged(cells: Cells, _: Column) -> Cells:
    return cells


def _flat(cells: Cells) -> Cells:
    if isinstance(cells, np.ndarray) and cells.ndim != 1:
        raise InputError(f"expected a 1-d column, found an array of shape {cells.shape}")
    return cells


def _listed(names: Iterable[Any]) -> str:
    spelled = [repr(name) for name in names]
    n_more = len(spelled) - _MOST_LISTED_NAMES
    more = f" and {n_more} more" if n_more > 0 else ""
    return ", ".join(spelled[:_MOST_LISTED_NAMES]) + more


def _suggestion(missing: list[str], extra: list[Any]) -> str:
    """Suggest which unknown names stand for the missing columns, for the end of a message."""
    if not extra:
        return ""
    from edge_runtime.inputs.suggestions import match_names  # rows seldom need it

    pairs = match_names(tuple(missing[:_MOST_LISTED_NAMES]), tuple(extra[:_MOST_UNKNOWN_NAMES]))
    if not pairs:
        renamed = f": rename it if it is {missing[0]!r}" if len(missing) == len(extra) == 1 else ""
        return f"; the model does not know {_listed(extra)}{renamed}"
    return (
        "; did you mean " + ", ".join(f"{name!r} by {unknown!r}" for name, unknown in pairs) + "?"
    )
