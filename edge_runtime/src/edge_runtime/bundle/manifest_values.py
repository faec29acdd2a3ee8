"""Check the values of a manifest's JSON; refuse any other value with an IntegrityError."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import IntegrityError

if TYPE_CHECKING:
    from edge_runtime.bundle.manifest import Manifest

__all__ = [
    "Cell",
    "cell_from_json",
    "cell_to_json",
    "check_output_names",
    "class_labels",
    "golden_answers",
    "golden_row",
    "ids_or_none",
    "is_dtype",
    "numbers_by_name",
    "share_or_none",
    "size",
    "texts_by_name",
    "whole_number",
]

Cell = str | float | int | bool | None | dict[str, Any] | list[Any]
"""A value of one column in one row, as JSON writes it."""

_DTYPES = frozenset(
    (
        *("float16", "float32", "float64", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "bool", "object"),
    )
)
_MAX_LENGTH_DIGITS = 6
"""Most digits of the length in a text's dtype, such as ``<U9``."""

_ID_TYPES = frozenset((str, int))
_NUMBER_TYPES = frozenset((int, float))
_SCALAR_TYPES = frozenset((str, int, float, bool, type(None)))


def golden_row(value: Any) -> tuple[Cell, ...]:
    """Check the cells of a golden row."""
    if not isinstance(value, list):
        raise IntegrityError(f"manifest: a golden row must be a list, found {value!r:.80}")
    if _SCALAR_TYPES.issuperset(map(type, value)):  # in one call: a load reads thousands of cells
        return tuple(value)
    for cell in value:
        if not (_is_scalar(cell) or isinstance(cell, dict | list)):
            raise IntegrityError(f"manifest: not a cell of a golden row: {cell!r:.80}")
    return tuple(value)


def is_dtype(name: str) -> bool:
    """Whether *name* is the dtype of an output: one of numpy, or a text of some length."""
    digits = name.removeprefix("<U")
    return name in _DTYPES or (
        digits != name
        and len(digits) <= _MAX_LENGTH_DIGITS
        and digits.isascii()
        and digits.isdigit()
        and digits[0] != "0"
    )


def size(value: Any, field: str) -> float:
    """Check a number of at least 0, which JSON's true is not; *field* names it in the error."""
    if type(value) not in _NUMBER_TYPES or not value >= 0:
        raise IntegrityError(
            f"manifest: {field} must be a number of at least 0, found {value!r:.80}"
        )
    return float(value)


def check_output_names(manifest: Manifest) -> None:
    """Refuse evidence, golden answers or classes of an output that does not exist.

    The classes may name ``predict`` in any case: several targets have outputs ``predict.0`` and on.
    """
    names = {output.name for output in manifest.outputs}
    for field, strange in (
        ("parity.outputs", manifest.parity.outputs.keys() - names),
        ("golden.answers", manifest.golden.answers.keys() - names),
        ("classes", manifest.classes.keys() - names - {"predict"}),
    ):
        if strange:
            raise IntegrityError(
                f"manifest: {field} has {min(strange)!r:.80}, which is no output of the model; "
                "build the model again"
            )


def whole_number(value: Any, field: str, *, minimum: int = 0) -> int:
    """Check a whole number of at least *minimum*; *field* names it in the error."""
    if type(value) is not int or value < minimum:
        raise IntegrityError(
            f"manifest: {field} must be a whole number of at least {minimum}, found {value!r:.80}"
        )
    return value


def class_labels(value: Any) -> Sequence[Any]:
    """Check class labels, or a list of them for each of several targets."""
    if not isinstance(value, list):
        raise IntegrityError(f"manifest: not a list of class labels: {value!r:.80}")
    for item in value:
        if not (_is_scalar(item) or (isinstance(item, list) and all(map(_is_scalar, item)))):
            raise IntegrityError(f"manifest: not a class label: {item!r:.80}")
    return value


def golden_answers(value: Any) -> Any:
    """Check the answers to golden rows: nested lists, one level for each axis of the array."""
    if not isinstance(value, list):
        raise IntegrityError(f"manifest: not a list of answers: {value!r:.80}")
    if _SCALAR_TYPES.issuperset(map(type, value)):
        return value
    for item in value:
        if isinstance(item, list):
            golden_answers(item)
        elif not _is_scalar(item):
            raise IntegrityError(f"manifest: not an answer: {item!r:.80}")
    return value


def numbers_by_name(value: Any) -> Mapping[str, float]:
    """Check an object whose values are numbers."""
    if not isinstance(value, dict) or not _NUMBER_TYPES.issuperset(map(type, value.values())):
        raise IntegrityError(f"manifest: expected names and numbers, found {value!r:.80}")
    return value


def share_or_none(value: Any) -> float | None:
    """Check a share below which logarithms are cut, or None."""
    if value is None or (type(value) in (int, float) and 0 <= value < 1):
        return None if value is None else float(value)
    raise IntegrityError(f"manifest: log_floor must be a number from 0 to 1, found {value!r:.80}")


def ids_or_none(value: Any) -> Sequence[str | int] | None:
    """Check the ids of training rows, texts or whole numbers, or None."""
    if value is None or (isinstance(value, list) and _ID_TYPES.issuperset(map(type, value))):
        return value
    raise IntegrityError(
        f"manifest: neighbors_ids must be a list of texts and whole numbers, found {value!r:.80}"
    )


def texts_by_name(value: Mapping[str, Any]) -> Mapping[str, str]:
    """Check an object whose values are texts."""
    if not all(isinstance(item, str) for item in value.values()):
        raise IntegrityError(f"manifest: expected names and texts, found {value!r:.80}")
    return value


def cell_to_json(value: Any) -> Cell:
    """Convert a number, a label or a missing value to a value that JSON can write."""
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)
    return number if math.isfinite(number) else str(number)


def cell_from_json(value: Cell) -> str | float | int | bool:
    """Read a numeric cell that :func:`cell_to_json` wrote; the caller reads strings itself."""
    return float(value) if value in ("nan", "inf", "-inf") else value  # type: ignore[return-value]


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
