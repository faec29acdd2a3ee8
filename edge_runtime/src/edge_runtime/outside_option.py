"""Warn about rows outside the training data before a prediction, or refuse them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from edge_runtime.errors import InputError, OutsideTrainingWarning
from edge_runtime.inputs.flags import Flag, Flagger

__all__ = ["Outside", "check_outside", "guard_row", "guard_table"]

Outside = Literal["answer", "warn", "refuse"]
"""The treatment of rows outside the training data: predicted, predicted with a warning, refused."""

_MOST_LISTED_FLAGS = 3
_Prediction = TypeVar("_Prediction")
_FlagsPerRow: TypeAlias = Sequence[tuple[Flag, ...]]


def check_outside(outside: object) -> None:
    """Raise ValueError unless *outside* is one of :data:`Outside`."""
    if outside not in get_args(Outside):
        raise ValueError(f"outside must be one of {get_args(Outside)}, found {outside!r}")


def guard_table(
    predict: Callable[[Any], _Prediction], flagger: Flagger, outside: Outside
) -> Callable[[Any], _Prediction]:
    """Make a call that checks the rows of a table, and then predicts them."""
    report = _warn if outside == "warn" else _refuse

    def check_and_predict(X: Any) -> _Prediction:
        report(flagger.flag_rows(X), False)
        return predict(X)

    return check_and_predict


def guard_row(
    predict: Callable[[Any], _Prediction], flagger: Flagger, outside: Outside
) -> Callable[[Any], _Prediction]:
    """Make a call that checks one row, and then predicts it."""
    report = _warn if outside == "warn" else _refuse

    def check_and_predict(row: Any) -> _Prediction:
        report((flagger.flag_row(row),), True)
        return predict(row)

    return check_and_predict


def _warn(flags_per_row: _FlagsPerRow, is_one_row: bool) -> None:
    """Warn once about all flagged rows, on behalf of the caller of the model's method."""
    flagged = [(row, flag) for row, flags in enumerate(flags_per_row) for flag in flags]
    if not flagged:
        return
    n_rows = len({row for row, _ in flagged})
    listing = "; ".join(
        str(flag) if is_one_row else f"row {row}, {flag}"
        for row, flag in flagged[:_MOST_LISTED_FLAGS]
    )
    n_more = len(flagged) - _MOST_LISTED_FLAGS
    more = f"; and {n_more} more" if n_more > 0 else ""
    summary = "the row lies" if is_one_row else f"{n_rows} of {len(flags_per_row)} rows lie"
    warnings.warn(
        f"{summary} outside the training data: {listing}{more}",
        OutsideTrainingWarning,
        stacklevel=4,
    )


def _refuse(flags_per_row: _FlagsPerRow, is_one_row: bool) -> None:
    for row, flags in enumerate(flags_per_row):
        for flag in flags:
            message = str(flag).removeprefix(f"{flag.column}: ")
            raise InputError(
                f"expected a value within the training data, found one outside: {message}; "
                'leave the row out, or load the model with outside="answer"',
                row=None if is_one_row else row,
                column=flag.column,
            )
