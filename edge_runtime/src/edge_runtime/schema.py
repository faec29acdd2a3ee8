"""What one row looks like: plain values in, plain values out, no I/O.

The graph sees at most two blocks, whatever the number of columns:

- ``numbers``: float64, shape (n_samples, number of numeric columns)
- ``strings``: UTF-8 strings, shape (n_samples, number of string columns)

A missing number is NaN.  A missing string is :data:`MISSING_STRING`, since an ONNX string
tensor has no null.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from edge_runtime.errors import IntegrityError

__all__ = ["MISSING_STRING", "NUMBERS", "STRINGS", "Column", "ColumnType", "Schema", "SchemaKind"]

NUMBERS = "numbers"
"""Name of the graph input that holds every numeric column."""

STRINGS = "strings"
"""Name of the graph input that holds every string column."""

MISSING_STRING = "\ufdd0"
"""Stands for a missing string inside the graph.

U+FDD0 is a noncharacter: the Unicode standard (section 23.7) reserves it for internal use by
programs, so no text that people exchange contains it; the border refuses rows that do.
"""

ColumnType = Literal["float64", "int64", "bool", "string"]
SchemaKind = Literal["array", "table", "vector", "text", "dicts"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the training table.

    Attributes
    ----------
    name
        As it was at training: any text, unique within the schema.
    type
        ``float64``, ``int64`` and ``bool`` travel in the numeric block, ``string`` in the other.
    missing
        Whether a missing value is allowed: the training sample had one in this column.
    minimum, maximum
        Range seen in the training sample, in the column's own unit; None for strings or
        when nothing was seen.
    categories
        Values seen in the training sample, sorted; None for measurements or when there were too
        many.
    closed
        Whether a value outside ``categories`` is refused, as the trained estimator refuses it.
    """

    name: str
    type: ColumnType
    missing: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str | float, ...] | None = None
    closed: bool = False

    @property
    def is_string(self) -> bool:
        """Whether the column travels in the string block."""
        return self.type == "string"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; ``Column.from_json(c.to_json()) == c``."""
        return {
            "name": self.name,
            "type": self.type,
            "missing": self.missing,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "categories": None if self.categories is None else list(self.categories),
            "closed": self.closed,
        }

    @classmethod
    def from_json(cls, value: Any) -> Column:
        """Read what :meth:`to_json` wrote; IntegrityError when it is something else."""
        match value:
            case {
                "name": str(name),
                "type": "float64" | "int64" | "bool" | "string" as type_,
                "missing": bool(missing),
                "minimum": minimum,
                "maximum": maximum,
                "categories": categories,
                "closed": bool(closed),
            } if len(value) == 7:
                return cls(
                    name,
                    type_,
                    missing,
                    _bound(minimum),
                    _bound(maximum),
                    _values(categories),
                    closed,
                )
        raise IntegrityError(f"manifest: not a column description: {value!r:.200}")


@dataclass(frozen=True)
class Schema:
    """The columns a model expects, in the order of the training table.

    Attributes
    ----------
    kind
        What the estimator was trained on: ``array`` (a 2-d array), ``table`` (named columns),
        ``vector`` (a 1-d array: one column), ``text`` (a list of str: one string column) or
        ``dicts`` (a list of dict).
    columns
        In the order of the training table.
    """

    kind: SchemaKind
    columns: tuple[Column, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in training order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def numeric(self) -> tuple[int, ...]:
        """Positions of the columns of the numeric block, in block order."""
        return tuple(i for i, column in enumerate(self.columns) if not column.is_string)

    @cached_property
    def textual(self) -> tuple[int, ...]:
        """Positions of the columns of the string block, in block order."""
        return tuple(i for i, column in enumerate(self.columns) if column.is_string)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; ``Schema.from_json(s.to_json()) == s``."""
        return {"kind": self.kind, "columns": [column.to_json() for column in self.columns]}

    @classmethod
    def from_json(cls, value: Any) -> Schema:
        """Read what :meth:`to_json` wrote; IntegrityError when it is something else."""
        match value:
            case {
                "kind": "array" | "table" | "vector" | "text" | "dicts" as kind,
                "columns": [*columns],
            } if len(value) == 2 and columns:
                schema = cls(kind, tuple(Column.from_json(column) for column in columns))
                if len(set(schema.names)) != len(schema.names):
                    raise IntegrityError("manifest: two columns share a name")
                return schema
        raise IntegrityError(f"manifest: not a schema: {value!r:.200}")


def _bound(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise IntegrityError(
            f"manifest: a column's range must be a finite number, found {value!r:.80}"
        )
    return float(value)


def _values(value: Any) -> tuple[str | float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(item, str | int | float) for item in value
    ):
        raise IntegrityError("manifest: categories must be a list of strings or numbers")
    return tuple(value)
