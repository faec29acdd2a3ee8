"""Convert one cell to the float or str that the graph reads, or refuse it with an InputError.

The checks use ``type``: ``isinstance`` also believes a ``__class__`` attribute, which may be
false.  An exception in a method of a foreign class becomes an InputError too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_runtime.bundle.schema import MISSING_STRING, Column
from edge_runtime.errors import EdgeRuntimeError, InputError

__all__ = [
    "EXACT_INTEGERS",
    "describe_error",
    "describe_value",
    "is_missing",
    "kind_name",
    "number_cell",
    "refuse_number",
    "text_cell",
]

EXACT_INTEGERS = 2**53
"""float64 holds every integer up to this magnitude (IEEE 754 binary64: 53 significant bits)."""

NAN = math.nan

_LONG_BITS = 10_000
_MOST_LISTED = 5

_NUMPY = (np.generic, np.ndarray)
_NEVER_MISSING = (str, bytes, list, tuple, dict, np.ndarray, complex, np.complexfloating)


def number_cell(value: Any, column: Column, row: int | None = None) -> float:
    """Return the float64 equal to *value*, or NaN for a missing value.

    Raises
    ------
    InputError
        *value* is no number, not exactly a float64, infinite, or missing where training saw no
        missing value.
    """
    try:
        number = _to_float(value, column, row)
    except (EdgeRuntimeError, MemoryError):
        raise
    except Exception as error:
        raise _unreadable(value, "a number", error, column, row) from error
    if math.isfinite(number) and (column.type != "bool" or number in (0.0, 1.0)):
        return number
    if number != number and column.missing:
        return number
    raise refuse_number(number, column, row)


def text_cell(value: Any, column: Column, row: int | None = None) -> str:
    """Return the string itself, or :data:`MISSING_STRING` for a missing value.

    Raises
    ------
    InputError
        *value* is no string, one that UTF-8 or the graph cannot carry, or missing where training
        saw no missing value.
    """
    try:
        return _to_text(value, column, row)
    except (EdgeRuntimeError, MemoryError):
        raise
    except Exception as error:
        raise _unreadable(value, "text", error, column, row) from error


def _to_text(value: Any, column: Column, row: int | None) -> str:
    if issubclass(type(value), str):
        # str(value) of a subclass (numpy.str_, an enumeration) may print something else.
        text = value if type(value) is str else str.__str__(value)
        fault = _fault_in_text(text)
        if fault is None:
            return text
        raise InputError(fault, row=row, column=column.name)
    if is_missing(value):
        if column.missing:
            return MISSING_STRING
        raise InputError(
            "expected text, found a missing value, which this model does not accept here; "
            "leave the row out or fill it in",
            row=row,
            column=column.name,
        )
    categories = ", ".join(repr(text)[:20] for text in (column.categories or ())[:_MOST_LISTED])
    remedy = f"pass a str, as in training: {categories}" if categories else "pass it as str"
    raise InputError(
        f"expected text, found {describe_value(value)}; {remedy}",
        row=row,
        column=column.name,
    )


def is_missing(value: Any) -> bool:
    """Test whether *value* is None, NaN, NaT, pandas.NA or a masked cell."""
    if value is None or _is_masked(value):
        return True
    if issubclass(type(value), _NEVER_MISSING):
        return False
    try:
        differs = value != value
    except Exception:  # a foreign __ne__ may raise anything: then it is no missing value
        return False
    if type(differs) in (bool, np.bool_):
        return bool(differs)
    # pandas.NA returns itself from every comparison; pandas is not imported here.
    return differs is value


def refuse_number(number: float, column: Column, row: int | None) -> InputError:
    """Return the error for a float that *column* does not allow."""
    if number != number:
        message = (
            "expected a number, found a missing value (NaN), which this model does not accept "
            "here; leave the row out or fill it in"
        )
    elif math.isinf(number):
        # The build proves a graph for finite numbers only: scikit-learn's check_array refuses
        # infinity (ensure_all_finite), though not every estimator calls it.
        message = (
            f"expected a finite number, found {number}; this model does not take infinity: "
            "leave the row out"
        )
    else:
        message = f"expected true or false (1 or 0), found {number!r}"
    return InputError(message, row=row, column=column.name)


def _to_float(value: Any, column: Column, row: int | None) -> float:
    if type(value) is float:
        return value
    if _is_masked(value):
        return NAN
    kind = type(value)
    if issubclass(kind, _NUMPY):
        plain = np.asarray(value)  # without the methods of a subclass
        # item() of a longdouble is a longdouble again; item() of a datetime64 may be an int.
        if plain.ndim == 0 and plain.dtype.kind in "fiubOU" and plain.dtype.char != "g":
            value = plain.item()
            kind = type(value)
    # A subclass may override __float__ or __int__: read the number itself.
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, int):
        value = int.__int__(value)
        try:
            number = float(value)
        except OverflowError:
            number = NAN
        if number == value:
            return number
        raise InputError(
            f"the integer {_digits(value)} is no exact float64; expected at most 2**53 in "
            "magnitude",
            row=row,
            column=column.name,
        )
    if is_missing(value):
        return NAN
    expected, remedy = "a number", "pass it as float or int"
    if column.type == "bool":
        expected, remedy = "true or false", "pass True or False"
    raise InputError(
        f"expected {expected}, found {describe_value(value)}; {remedy}",
        row=row,
        column=column.name,
    )


def _digits(value: int) -> str:
    # str() refuses an int of more than 4300 digits (sys.get_int_max_str_digits).
    return str(value)[:40] if value.bit_length() < _LONG_BITS else "of more than 3,000 digits"


def _is_masked(value: Any) -> bool:
    # numpy would return the number behind the mask.
    return (
        issubclass(type(value), np.ma.MaskedArray)
        and value.ndim == 0
        and bool(np.ma.getmaskarray(value))
    )


def _fault_in_text(text: str) -> str | None:
    if text.isascii():
        return None
    if MISSING_STRING in text:
        return (
            "expected text, found the noncharacter U+FDD0, which stands for a missing value "
            "inside the graph; pass None for a missing value"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"expected text that UTF-8 can write, found {error.object[error.start]!r}"
    return None


def _unreadable(
    value: Any, expected: str, error: Exception, column: Column, row: int | None
) -> InputError:
    return InputError(
        f"expected {expected}, found {describe_value(value)}, which cannot be read: "
        f"{describe_error(error)}",
        row=row,
        column=column.name,
    )


def describe_value(value: Any) -> str:
    """Write *value* for a message, whatever its own methods raise."""
    try:
        return _describe(value)
    except Exception:  # a foreign __str__ may raise anything
        return f"an object of type {kind_name(value)}"


def _describe(value: Any) -> str:
    kind = type(value)
    if issubclass(kind, np.ndarray):
        return f"an array of shape {value.shape}"
    if issubclass(kind, str):
        return f"the text {str.__str__(value)[:60]!r}"
    if issubclass(kind, list | tuple | dict | set):
        return f"a {kind_name(value)} of {len(value)}"
    if kind is int and value.bit_length() >= _LONG_BITS:
        return f"an integer {_digits(value)}"
    if issubclass(kind, int | float | complex | bytes | np.generic):
        return f"{str(value)[:60]} ({kind_name(value)})"
    return f"an object of type {kind_name(value)}"


def kind_name(value: Any) -> str:
    """Return the name of *value*'s type, even when its metaclass reports another."""
    return str(_TYPE_NAME(type(value)))[:60]


def describe_error(error: Exception) -> str:
    """Return type and text of a foreign *error*, whose own ``__str__`` may raise."""
    try:
        text = str(error)[:100]
    except Exception:
        return kind_name(error)
    return f"{kind_name(error)} ({text})"


_TYPE_NAME = type.__dict__["__name__"].__get__
