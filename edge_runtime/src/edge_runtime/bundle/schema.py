"""Describe the columns that a model expects, and the blocks that its graph reads.

Pure: no I/O.  The graph has at most two inputs, whatever the number of columns:

- ``numbers``: float64, shape (n_samples, number of numeric columns and of derived ones)
- ``strings``: UTF-8 strings, shape (n_samples, number of string columns)

A tensor is one column, and its cells, flattened, are the whole of ``numbers``.  The runtime
computes derived columns from text, dicts or lists (edge_runtime.vectorizers.specification).

A date is its microseconds since 1970.  A missing number is NaN.  A missing string is
:data:`MISSING_STRING`, because an ONNX string tensor has no null.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from edge_runtime.bundle.date_rule import DateRule, range_text
from edge_runtime.errors import IntegrityError
from edge_runtime.records import record

if TYPE_CHECKING:
    from edge_runtime.bundle.tensor_type import TensorType
    from edge_runtime.vectorizers.specification import Derived

__all__ = [
    "CELLS",
    "MISSING_STRING",
    "NUMBERS",
    "STRINGS",
    "Column",
    "ColumnType",
    "InputLimits",
    "Schema",
    "SchemaKind",
]

NUMBERS = "numbers"
"""Name of the graph input that holds every numeric column."""

STRINGS = "strings"
"""Name of the graph input that holds every string column."""

CELLS = "cells"
"""Name of the block that derived columns are computed from, shape (n_samples, len(schema.sources)).

It holds the cells as the caller passes them, and never enters the graph.
"""

MISSING_STRING = "\ufdd0"
"""Stands for a missing string inside the graph.

U+FDD0 is a noncharacter: the Unicode standard (section 23.7) reserves it for internal use by
programs, so exchanged text does not contain it.  Input validation refuses rows that do.
"""

ColumnType = Literal["float64", "int64", "bool", "datetime", "string", "dict", "list", "tensor"]
SchemaKind = Literal["array", "table", "vector", "text", "dicts", "lists", "tensor"]


@record(frozen=True, slots=True)
class InputLimits:
    """Hard limits of one column: the user sets them at the build, the device enforces them.

    Attributes
    ----------
    minimum, maximum
        Smallest and largest number allowed; None for no limit on that side.
    values
        The only values allowed, sorted; None for any.
    """

    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str | float, ...] | None = None

    def __str__(self) -> str:
        if self.values is not None:
            return f"one of {', '.join(map(repr, self.values))}"
        if self.minimum is None:
            return f"up to {self.maximum!r}"
        return f"from {self.minimum!r} " + (
            "up" if self.maximum is None else f"to {self.maximum!r}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``InputLimits.from_json(i.to_json()) == i``."""
        return {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "values": None if self.values is None else list(self.values),
        }

    @classmethod
    def from_json(cls, value: Any) -> InputLimits:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {"minimum": low, "maximum": high, "values": values} if len(value) == 3:
                limits = cls(_bound(low), _bound(high), _values(values))
                if not (fault := limits.faults()):
                    return limits
                raise IntegrityError(f"manifest: {fault}")
        raise IntegrityError(f"manifest: not the limits of a column: {value!r:.200}")

    def allows(self, value: str | float) -> bool:
        """Whether *value* is within the limits; NaN is, as they do not concern missing values."""
        if self.values is not None:
            return value in self.values or value != value
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return not (float(value) < low or float(value) > high)

    def faults(self) -> str:
        """Describe why no value can be meant by these limits; empty when they are consistent."""
        low, high = self.minimum, self.maximum
        if self.values is None:
            if low is None and high is None:
                return "the limits of a column need a minimum, a maximum or values"
            if low is not None and high is not None and not low <= high:
                return f"the minimum {low!r} of a column exceeds its maximum {high!r}"
        elif low is not None or high is not None:
            return "the limits of a column have a range or values, not both"
        elif not self.values:
            return "the limits of a column allow no value"
        return ""


@record(frozen=True, slots=True)
class Column:
    """One column of the training table.

    Attributes
    ----------
    name
        Name at training: any text, unique within the schema.
    type
        ``float64``, ``int64``, ``bool`` and ``datetime`` belong to the numeric block, ``string``
        to the string block.  ``dict`` and ``list`` belong to neither: derived columns are computed
        from them.  A ``tensor`` is the numeric block.
    missing
        Whether a missing value is allowed: the trained estimator predicts rows that lack this one,
        and the user did not forbid it.
    minimum, maximum
        Range in the training sample, in the column's own unit; None for strings, or when the
        sample had no value.
    categories
        Sorted values of the training sample; None for measurements, or when there were too many.
    missing_in_training
        Whether the training sample had a missing value in this column.
    closed
        Whether other values are refused, as the trained estimator refuses them: values outside
        ``categories``, or outside ``minimum`` to ``maximum`` when ``categories`` is None.
    limits
        Hard limits that the user set at the build; None when there are none.
    tensor
        Dtype and shape of a tensor; None for any other type.
    dates
        How a ``datetime`` column is written; None for other types.
    """

    name: str
    type: ColumnType
    missing: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str | float, ...] | None = None
    closed: bool = False
    missing_in_training: bool = False
    limits: InputLimits | None = None
    tensor: TensorType | None = None
    dates: DateRule | None = None

    @property
    def is_string(self) -> bool:
        """Whether the column belongs to the string block."""
        return self.type == "string"

    @property
    def is_number(self) -> bool:
        """Whether the column belongs to the numeric block."""
        return self.type in ("float64", "int64", "bool", "datetime")

    @property
    def range_text(self) -> str:
        """The range of training for a reader; empty where there is none."""
        return range_text(self.minimum, self.maximum, self.dates)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``Column.from_json(c.to_json()) == c``."""
        return {
            "name": self.name,
            "type": self.type,
            "missing": self.missing,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "categories": None if self.categories is None else list(self.categories),
            "closed": self.closed,
            "missing_in_training": self.missing_in_training,
            # Absent where there are none: a reader that does not enforce limits must refuse them.
            **({} if self.limits is None else {"limits": self.limits.to_json()}),
            **({} if self.tensor is None else {"tensor": self.tensor.to_json()}),
            **({} if self.dates is None else {"dates": self.dates.to_json()}),
        }

    @classmethod
    def from_json(cls, value: Any) -> Column:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {
                "name": str(name),
                "type": str(type_),
                "missing": bool(missing),
                "minimum": minimum,
                "maximum": maximum,
                "categories": categories,
                "closed": bool(closed),
                "missing_in_training": bool(missing_in_training),
            } if (
                type_ in get_args(ColumnType)
                and len(value) == 8 + sum(key in value for key in ("limits", "tensor", "dates"))
                and ("tensor" in value) == (type_ == "tensor")
                and ("dates" in value) == (type_ == "datetime")
            ):
                return cls(
                    name,
                    cast("ColumnType", type_),
                    missing,
                    _bound(minimum),
                    _bound(maximum),
                    _values(categories),
                    closed,
                    missing_in_training,
                    _limits(type_, value["limits"]) if "limits" in value else None,
                    _tensor(value["tensor"]) if "tensor" in value else None,
                    DateRule.from_json(value["dates"]) if "dates" in value else None,
                )
        raise IntegrityError(f"manifest: not a column description: {value!r:.200}")


@record(frozen=True)
class Schema:
    """The columns a model expects, in the order of the training table.

    Attributes
    ----------
    kind
        Kind of training data: ``array`` (a 2-d array), ``table`` (named columns), ``vector`` (a
        1-d array: one column), ``text`` (a list of str: one string column), ``dicts`` (a list of
        dict: one dict column), ``lists`` (a list of lists of labels: one list column) or ``tensor``
        (an array of pictures or sound, or a wide one: one tensor column).
    columns
        In the order of the training table.
    derived
        Blocks of computed columns, in the order in which they follow the numeric ones.
    ignored
        Names that a table or a row may hold besides the columns: the training table had them, and
        the estimator does not read them.
    """

    kind: SchemaKind
    columns: tuple[Column, ...]
    derived: tuple[Derived, ...] = ()
    ignored: tuple[str, ...] = ()

    def __repr__(self) -> str:
        listed = ", ".join(f"{column.name[:20]}: {column.type}" for column in self.columns[:6])
        n_more = len(self.columns) - 6
        return f"<Schema {self.kind}: {listed}{f' and {n_more} more' if n_more > 0 else ''}>"

    def _repr_html_(self) -> str:
        from edge_runtime.notebook_html import schema_as_html  # only notebooks need it

        return schema_as_html(self)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in training order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def numeric(self) -> tuple[int, ...]:
        """Positions of the columns of the numeric block, in block order."""
        return tuple(i for i, column in enumerate(self.columns) if column.is_number)

    @cached_property
    def textual(self) -> tuple[int, ...]:
        """Positions of the columns of the string block, in block order."""
        return tuple(i for i, column in enumerate(self.columns) if column.is_string)

    @cached_property
    def sources(self) -> tuple[int, ...]:
        """Positions of the columns that derived blocks read, in order."""
        names = {block.column for block in self.derived}
        return tuple(i for i, column in enumerate(self.columns) if column.name in names)

    @cached_property
    def loose(self) -> bool:
        """Whether a row is a single cell: a text, a dict, a list or a tensor."""
        return self.kind in ("text", "dicts", "lists", "tensor")

    @cached_property
    def numbers_width(self) -> int:
        """Number of columns of the graph input ``numbers``: numeric, then derived."""
        if self.columns and (tensor := self.columns[0].tensor) is not None:
            return tensor.size
        return len(self.numeric) + sum(block.width for block in self.derived)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; ``Schema.from_json(s.to_json()) == s``."""
        return {
            "kind": self.kind,
            "columns": [column.to_json() for column in self.columns],
            "derived": [block.to_json() for block in self.derived],
            "ignored": list(self.ignored),
        }

    @classmethod
    def from_json(cls, value: Any) -> Schema:
        """Read the values that :meth:`to_json` wrote; IntegrityError for any others."""
        match value:
            case {
                "kind": (
                    "array" | "table" | "vector" | "text" | "dicts" | "lists" | "tensor"
                ) as kind,
                "columns": [*columns],
                "derived": [*derived],
                "ignored": [*ignored],
            } if len(value) == 4 and columns:
                schema = cls(
                    kind,
                    tuple(Column.from_json(column) for column in columns),
                    _derived(derived),
                    tuple(ignored),
                )
                schema._check()
                return schema
        raise IntegrityError(f"manifest: not a schema: {value!r:.200}")

    def _check(self) -> None:
        types = {column.name: column.type for column in self.columns}
        if len(types) != len(self.columns):
            raise IntegrityError("manifest: two columns share a name")
        if not all(isinstance(name, str) and name not in types for name in self.ignored):
            raise IntegrityError("manifest: an ignored name must be a str that no column has")
        if self.loose and len(self.columns) != 1:
            raise IntegrityError(f"manifest: {self.kind} have one column, found {len(types)}")
        if any((column.type == "tensor") != (self.kind == "tensor") for column in self.columns):
            raise IntegrityError("manifest: a tensor is the only column of its schema")
        for block in self.derived:
            if types.get(block.column) != block.reads:
                fault = f"reads {block.column!r} as a {block.reads}, which it is not"
                raise IntegrityError(f"manifest: a derived block {fault}")


def _derived(blocks: list[Any]) -> tuple[Derived, ...]:
    if not blocks:
        return ()
    # Imported here: eight dataclasses take 3 ms, and few models need them.
    from edge_runtime.vectorizers.specification import Derived

    return tuple(Derived.from_json(block) for block in blocks)


def _tensor(value: Any) -> TensorType:
    from edge_runtime.bundle.tensor_type import TensorType  # which few models need

    return TensorType.from_json(value)


def _limits(column_type: str, value: Any) -> InputLimits:
    limits = InputLimits.from_json(value)
    kind: Any = str if column_type == "string" else int | float
    is_number = column_type in ("float64", "int64", "bool", "tensor")  # dates have no limits
    if (limits.values is None and not is_number) or not all(
        isinstance(item, kind) for item in limits.values or ()
    ):
        raise IntegrityError(f"manifest: a {column_type} column cannot have the limits {value!r}")
    return limits


def _bound(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise IntegrityError(f"manifest: a range must be finite numbers, found {value!r:.80}")
    return float(value)


def _values(value: Any) -> tuple[str | float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(item, str | int | float) for item in value
    ):
        raise IntegrityError("manifest: categories must be a list of strings or numbers")
    return tuple(value)
