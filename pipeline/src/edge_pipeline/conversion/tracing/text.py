"""Trace the text methods of pandas: ``series.str.lower()`` and others.

All are exact for every text.  A missing text stays missing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.graph import ops, text_ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.regex import re2_pattern
from edge_pipeline.conversion.tracing.text_operators import is_missing_text, joined_text
from edge_pipeline.conversion.tracing.text_parts import TextParts

__all__ = ["TextMethods"]


class TextMethods:
    """The value of ``series.str``.

    Parameters
    ----------
    x
        Texts, shape (n_samples,).
    wrap
        Makes a series of a tensor.
    """

    def __init__(self, x: Tensor, wrap: Callable[[Tensor], Any]) -> None:
        if not x.is_string:
            raise AttributeError("Can only use .str accessor with string values")
        self._x = x
        self._wrap = wrap

    def _text(self, result: Tensor) -> Any:
        """Wrap texts; a missing text stays missing."""
        return self._wrap(ops.where(is_missing_text(self._x), MISSING_STRING, result))

    def _number(self, result: Tensor) -> Any:
        missing = is_missing_text(self._x)
        return self._wrap(ops.where(missing, np.nan, result.astype(np.float64)))

    def _flag(self, result: Tensor, na: Any = None) -> Any:
        value = False if na is None else bool(na)
        return self._wrap(ops.where(is_missing_text(self._x), value, result))

    def _mapped(self, function: Callable[[str], str]) -> Any:
        return self._text(text_ops.keep_characters(text_ops.map_characters(self._chars, function)))

    @property
    def _chars(self) -> Tensor:
        return text_ops.characters(self._x)

    def _without_sigma(self) -> Any:
        """Stop at a capital sigma, whose small letter depends on the letters around it."""
        has_sigma = text_ops.matches(self._x, "(?s).*\\x{3a3}.*")
        return TextMethods(text_ops.stop_where(has_sigma, self._x), self._wrap)

    def lower(self) -> Any:
        """Convert to small letters."""
        return self._without_sigma()._mapped(str.lower)

    def upper(self) -> Any:
        """Convert to capital letters."""
        return self._mapped(str.upper)

    def casefold(self) -> Any:
        """Convert to letters for comparisons without case."""
        return self._mapped(str.casefold)

    def swapcase(self) -> Any:
        """Exchange small and capital letters."""
        return self._without_sigma()._mapped(str.swapcase)

    def capitalize(self) -> Any:
        """Convert the first letter to a capital, and the others to small letters."""
        chars = self._without_sigma()._chars
        is_first = text_ops.positions(chars) == 0
        return self._cased(chars, is_first)

    def title(self) -> Any:
        """Convert the first letter of each word to a capital, and the others to small letters."""
        chars = self._without_sigma()._chars
        cased = text_ops.members(chars, _is_cased)
        first = ops.full_rows(chars, np.array([False]))
        # The character before is the one at the same place, after one more in front.
        shifted = chars.graph.node(
            "Concat", first, cased, axis=1, dtype=np.bool_, shape=(None, None)
        )
        bounds = [np.array([value], dtype=np.int64) for value in (0, -1, 1)]
        after_letter = chars.graph.node(
            "Slice", shifted, *bounds, dtype=np.bool_, shape=(None, None)
        )
        return self._cased(chars, ~after_letter)

    def _cased(self, chars: Tensor, capital: Tensor) -> Any:
        title, lower = (text_ops.map_characters(chars, f) for f in (str.title, str.lower))
        return self._text(text_ops.keep_characters(ops.where(capital, title, lower)))

    def strip(self, to_strip: str | None = None) -> Any:
        """Remove white space, or the characters of *to_strip*, at both ends."""
        return self._stripped(to_strip, at_start=True, at_end=True)

    def lstrip(self, to_strip: str | None = None) -> Any:
        """Remove white space, or the characters of *to_strip*, at the start."""
        return self._stripped(to_strip, at_start=True, at_end=False)

    def rstrip(self, to_strip: str | None = None) -> Any:
        """Remove white space, or the characters of *to_strip*, at the end."""
        return self._stripped(to_strip, at_start=False, at_end=True)

    def _stripped(self, to_strip: str | None, *, at_start: bool, at_end: bool) -> Any:
        chars = self._chars
        keep = text_ops.is_character(chars)
        stays = keep & ~text_ops.members(chars, str.isspace if to_strip is None else to_strip)
        count = ops.cumsum(stays.astype(np.int64), 1)
        total = ops.sum_(stays, 1, keepdims=True)
        if at_start:
            keep = keep & (count > 0)
        if at_end:  # the last that stays, and everything before it
            keep = keep & ((count < total) | stays)
        return self._text(text_ops.keep_characters(chars, keep))

    def len(self) -> Any:
        """Count the characters."""
        return self._number(text_ops.lengths(self._chars))

    def slice(self, start: Any = None, stop: Any = None, step: Any = None) -> Any:
        """Select characters by position."""
        if step not in (None, 1):
            raise TypeError(f"text[::{step}] has no form in a graph; slice without a step")
        chars = self._chars
        length = ops.expand_dims(text_ops.lengths(chars), 1)
        position = text_ops.positions(chars)
        keep = text_ops.is_character(chars)
        if start is not None:
            keep = keep & (position >= (start if start >= 0 else length + int(start)))
        if stop is not None:
            keep = keep & (position < (stop if stop >= 0 else length + int(stop)))
        return self._text(text_ops.keep_characters(chars, keep))

    def get(self, i: int) -> Any:
        """Return one character, missing where the text is too short."""
        return self._text(text_ops.character(self._chars, int(i), MISSING_STRING))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self.slice(key.start, key.stop, key.step)
        return self.get(key)

    def zfill(self, width: int) -> Any:
        """Put zeros before the text, behind a sign."""
        chars = self._chars
        sign = text_ops.character(chars, 0, "")
        has_sign = (sign == "-") | (sign == "+")
        unsigned = text_ops.keep_characters(
            chars, ~(ops.expand_dims(has_sign, 1) & (text_ops.positions(chars) == 0))
        )
        filled = text_ops.concat(_filler(chars, width, "0"), unsigned)
        return self._text(text_ops.concat(ops.where(has_sign, sign, ""), filled))

    def pad(self, width: int, side: str = "left", fillchar: str = " ") -> Any:
        """Put *fillchar* before or after the text."""
        if side not in ("left", "right"):
            raise TypeError(f"str.pad(side={side!r}) has no form in a graph; use left or right")
        filler = _filler(self._chars, width, fillchar)
        pair = (filler, self._x) if side == "left" else (self._x, filler)
        return self._text(text_ops.concat(*pair))

    def rjust(self, width: int, fillchar: str = " ") -> Any:
        """Put *fillchar* before the text."""
        return self.pad(width, "left", fillchar)

    def ljust(self, width: int, fillchar: str = " ") -> Any:
        """Put *fillchar* after the text."""
        return self.pad(width, "right", fillchar)

    def repeat(self, repeats: int) -> Any:
        """Repeat the text."""
        result: Any = ops.full_rows(self._x, np.array("", dtype=object))
        for _ in range(int(repeats)):
            result = text_ops.concat(result, self._x)
        return self._text(result)

    def cat(self, others: Any = None, sep: str = "", na_rep: str | None = None) -> Any:
        """Concatenate with another column, *sep* between them."""
        if others is None or na_rep is not None or type(others) in (list, tuple):
            raise TypeError("str.cat is traced with one other column, without na_rep; or use +")
        return self._wrap(joined_text(joined_text(self._x, sep), others.to_tensor()))

    def replace(self, pat: Any, repl: Any = None, n: int = -1, case: Any = None, flags: int = 0,
                regex: bool = False) -> Any:  # fmt: skip
        """Replace every occurrence of a text by another."""
        if regex and isinstance(pat, str) and _is_plain(pat):
            regex = False
        if regex and isinstance(pat, str) and (chars := _character_class(pat)):
            return self._mapped(partial(_replaced_character, chars, repl))
        if (
            regex
            or not isinstance(pat, str)
            or not isinstance(repl, str)
            or n != -1
            or not pat
            or (case is not None or flags)
        ):
            raise TypeError(
                "str.replace is traced for a plain text (regex=False), or one class of characters "
                "such as [^a-z]; replace by regular expression before the pipeline"
            )
        if len(pat) == 1:
            return self._mapped(partial(_replaced_character, pat, repl))
        return self._text(_rejoined(self._x, pat, repl))

    def removeprefix(self, prefix: str) -> Any:
        """Remove *prefix* where the text begins with it."""
        has_prefix = self.startswith(prefix)
        return np.where(has_prefix, self.slice(len(prefix)), self._wrap(self._x))

    def removesuffix(self, suffix: str) -> Any:
        """Remove *suffix* where the text ends with it."""
        has_suffix = self.endswith(suffix)
        return np.where(has_suffix, self.slice(None, -len(suffix)), self._wrap(self._x))

    def split(self, pat: str | None = None, n: int = -1, expand: bool = False,
              regex: Any = None) -> Any:  # fmt: skip
        """Split into parts: ``.str[i]`` takes one."""
        if pat is not None and len(pat) > 1 and regex is not False and not _is_plain(pat):
            raise TypeError(f"str.split by the regular expression {pat!r}; give regex=False")
        x = self._x
        if pat is None:  # at every run of white space
            chars = text_ops.map_characters(text_ops.characters(x), _space_as_blank)
            x = text_ops.keep_characters(chars)
        parts, counts = text_ops.split(x, pat or "")
        return TextParts(parts, counts, self._text, self._number, most=n if n > 0 else None)

    def contains(self, pat: str, case: bool = True, flags: int = 0, na: Any = None,
                 regex: bool = True) -> Any:  # fmt: skip
        """Return whether a regular expression, or a text, occurs."""
        inner = re2_pattern(pat, flags | (0 if case else re.I), regex=regex)
        return self._flag(text_ops.matches(self._x, f"(?s:.*){inner}(?s:.*)"), na)

    def match(self, pat: str, case: bool = True, flags: int = 0, na: Any = None) -> Any:
        """Return whether the text begins with a match."""
        inner = re2_pattern(pat, flags | (0 if case else re.I))
        return self._flag(text_ops.matches(self._x, f"{inner}(?s:.*)"), na)

    def fullmatch(self, pat: str, case: bool = True, flags: int = 0, na: Any = None) -> Any:
        """Return whether the whole text matches."""
        inner = re2_pattern(pat, flags | (0 if case else re.I), whole=True)
        return self._flag(text_ops.matches(self._x, inner), na)

    def startswith(self, pat: Any, na: Any = None) -> Any:
        """Return whether the text begins with *pat*, or with one of several."""
        return self._flag(text_ops.matches(self._x, f"(?s){_one_of(pat)}.*"), na)

    def endswith(self, pat: Any, na: Any = None) -> Any:
        """Return whether the text ends with *pat*, or with one of several."""
        return self._flag(text_ops.matches(self._x, f"(?s).*{_one_of(pat)}"), na)

    def count(self, pat: str, flags: int = 0) -> Any:
        """Count the occurrences of a plain text."""
        if flags or not pat or not _is_plain(pat):
            raise TypeError(f"str.count of the regular expression {pat!r}; count a plain text")
        return self._number(text_ops.split(self._x, pat)[1] - 1)

    def _all_characters(self, predicate: Callable[[str], bool]) -> Any:
        chars = self._chars
        size = text_ops.lengths(chars)
        count = ops.sum_(text_ops.members(chars, predicate), 1)
        return self._flag((count == size) & (size > 0))

    def isdigit(self) -> Any:
        """Return whether all characters are digits."""
        return self._all_characters(str.isdigit)

    def isdecimal(self) -> Any:
        """Return whether all characters are decimal digits."""
        return self._all_characters(str.isdecimal)

    def isnumeric(self) -> Any:
        """Return whether all characters are numeric."""
        return self._all_characters(str.isnumeric)

    def isspace(self) -> Any:
        """Return whether all characters are white space."""
        return self._all_characters(str.isspace)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"pandas.Series.str.{name} has no form in a graph; docs/function-transformer.md lists "
            "the text methods that are traced"
        )


def _is_cased(c: str) -> bool:
    return (c + "a").title()[-1] == "a" and unicodedata.category(c) != "Cn"


def _space_as_blank(c: str) -> str:
    return " " if c.isspace() else c


def _replaced_character(characters: Any, replacement: str, c: str) -> str:
    is_listed = c in characters if isinstance(characters, str) else characters.fullmatch(c)
    return replacement if is_listed else c


def _character_class(pattern: str) -> Any:
    """Compile a regular expression that matches one character at a time, or return None."""
    if re.fullmatch(r"\[\^?(\\.|[^\]\\])+\]|\\[dDwWsS]", pattern) is None:
        return None
    return re.compile(pattern)


def _is_plain(pattern: str) -> bool:
    """Return whether a regular expression matches its own text alone."""
    return not set(pattern) & set(r".^$*+?{}[]\|()")


def _one_of(texts: Any) -> str:
    options = [texts] if isinstance(texts, str) else list(texts)
    return "(?:" + "|".join(map(text_ops.literal_pattern, options)) + ")"


def _filler(chars: Tensor, width: int, fillchar: str) -> Tensor:
    """Return as many times *fillchar* as each text is shorter than *width*."""
    fillers = np.array([fillchar * (width - size) for size in range(width + 1)], dtype=object)
    return ops.take(fillers, ops.minimum(text_ops.lengths(chars), width))


def _rejoined(x: Tensor, delimiter: str, glue: str) -> Tensor:
    """Split at *delimiter*, and join the parts by *glue*."""
    parts, counts = text_ops.split(x, delimiter)
    position = ops.cumsum(ops.where(parts == "", 1, 1), 1) - 1
    count = ops.expand_dims(counts, 1)
    glued = text_ops.concat(parts, np.array([glue], dtype=object))
    return text_ops.join(ops.where(position < count - 1, glued, parts))
