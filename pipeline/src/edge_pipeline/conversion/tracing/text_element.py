"""Trace functions of one text, which ``series.map`` calls for each value."""

from __future__ import annotations

from typing import Any

from edge_pipeline.conversion.tracing.text_parts import TextParts

__all__ = ["TextElement", "apply_to_texts"]


def apply_to_texts(function: Any, series: Any, *args: Any, **kwargs: Any) -> Any:
    """Call *function* with a stand-in for each text of *series*."""
    name = getattr(function, "__name__", "")
    if function is len:
        return series.str.len()
    if getattr(str, name, None) is function:  # str.lower and the others
        return getattr(series.str, name)()
    return _as_series(function(TextElement(series), *args, **kwargs))


class TextElement:
    """One text, as the function of ``series.map(function)`` gets it: a str with its methods."""

    def __init__(self, series: Any) -> None:
        self._series = series

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """Make ``isinstance(value, str)`` hold."""
        return str

    def to_tensor(self) -> Any:
        """Return the tensor of the graph."""
        return self._series.to_tensor()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in _METHODS_OF_STR:
            raise AttributeError(f"str.{name} has no form in a graph")
        return lambda *args: _as_element(getattr(self._series.str, name)(*args))

    def __getitem__(self, key: Any) -> Any:
        return _as_element(self._series.str[key])

    def __add__(self, other: Any) -> Any:
        return _as_element(self._series + _as_series(other))

    def __radd__(self, other: Any) -> Any:
        return _as_element(_as_series(other) + self._series)

    def __eq__(self, other: object) -> Any:
        return self._series == _as_series(other)

    def __ne__(self, other: object) -> Any:
        return self._series != _as_series(other)

    def __lt__(self, other: Any) -> Any:
        return self._series < _as_series(other)

    def __gt__(self, other: Any) -> Any:
        return self._series > _as_series(other)

    def __hash__(self) -> int:
        raise TypeError("a look-up of a text in a dict or set: use series.map(dict), .isin(values)")

    def __contains__(self, text: str) -> bool:
        raise TypeError(
            f"{text!r} in a text is not known before the graph runs; use "
            f"series.str.contains({text!r}, regex=False)"
        )

    def __len__(self) -> int:
        raise TypeError("len() of a text is not known before the graph runs; use series.str.len()")


_METHODS_OF_STR = frozenset({
    "lower", "upper", "casefold", "swapcase", "capitalize", "title", "strip", "lstrip", "rstrip",
    "zfill", "rjust", "ljust", "replace", "removeprefix", "removesuffix", "split", "startswith",
    "endswith", "isdigit", "isdecimal", "isnumeric", "isspace",
})  # fmt: skip


class _ElementParts:
    """The list that ``text.split()`` returns, of which one part can be taken."""

    def __init__(self, parts: TextParts) -> None:
        self._parts = parts

    def __getitem__(self, i: int) -> Any:
        return _as_element(self._parts[i])

    def __iter__(self) -> Any:
        raise TypeError("the number of parts differs from row to row; take one: split()[0]")

    def __len__(self) -> int:
        raise TypeError("the number of parts differs from row to row; use .str.split().str.len()")


def _as_element(value: Any) -> Any:
    if type(value) is TextParts:
        return _ElementParts(value)
    is_text = hasattr(type(value), "to_tensor") and value.to_tensor().is_string
    return TextElement(value) if is_text else value


def _as_series(value: Any) -> Any:
    return value._series if type(value) is TextElement else value
