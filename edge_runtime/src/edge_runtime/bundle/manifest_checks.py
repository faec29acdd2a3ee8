"""A value of the manifest's JSON in, the same value out, known to be what it should be.

Pure; whatever it is not is an IntegrityError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import IntegrityError

if TYPE_CHECKING:
    from edge_runtime.bundle.manifest import Cell

__all__ = ["answers", "figures", "labels", "row", "texts", "whole"]


def row(value: Any) -> tuple[Cell, ...]:
    """Cells of a golden row."""
    if not isinstance(value, list):
        raise IntegrityError(f"manifest: a golden row must be a list, found {value!r:.80}")
    if _CELLS.issuperset(map(type, value)):  # at once: a start has thousands of them to read
        return tuple(value)
    for cell in value:
        if not (_is_cell(cell) or isinstance(cell, dict | list)):
            raise IntegrityError(f"manifest: not a cell of a golden row: {cell!r:.80}")
    return tuple(value)


def whole(value: Any, what: str, *, least: int = 0) -> int:
    """A whole number, not below *least*."""
    if type(value) is not int or value < least:
        raise IntegrityError(
            f"manifest: {what} must be a whole number of at least {least}, found {value!r:.80}"
        )
    return value


def labels(value: Any) -> Sequence[Any]:
    """Class labels, or a list of them for each of several targets."""
    if not isinstance(value, list):
        raise IntegrityError(f"manifest: not a list of class labels: {value!r:.80}")
    for item in value:
        if not (_is_cell(item) or (isinstance(item, list) and all(map(_is_cell, item)))):
            raise IntegrityError(f"manifest: not a class label: {item!r:.80}")
    return value


def answers(value: Any) -> Any:
    """Answers of golden rows: lists of cells, as deep as the answer has axes."""
    if not isinstance(value, list):
        raise IntegrityError(f"manifest: not a list of answers: {value!r:.80}")
    if _CELLS.issuperset(map(type, value)):
        return value
    for item in value:
        if isinstance(item, list):
            answers(item)
        elif not _is_cell(item):
            raise IntegrityError(f"manifest: not an answer: {item!r:.80}")
    return value


def figures(value: Any) -> Mapping[str, float]:
    """Names and numbers."""
    if not isinstance(value, dict) or not _NUMBERS.issuperset(map(type, value.values())):
        raise IntegrityError(f"manifest: expected names and numbers, found {value!r:.80}")
    return value


def texts(value: Mapping[str, Any]) -> Mapping[str, str]:
    """Names and texts."""
    if not all(isinstance(item, str) for item in value.values()):
        raise IntegrityError(f"manifest: expected names and texts, found {value!r:.80}")
    return value


_NUMBERS = frozenset((int, float))
_CELLS = frozenset((str, int, float, bool, type(None)))


def _is_cell(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
