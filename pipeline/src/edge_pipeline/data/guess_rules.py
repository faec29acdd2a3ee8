"""Guess how the text cells of a table hold numbers and dates: missing markers, units, money."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from edge_runtime.bundle.reading import CellRule
from edge_runtime.inputs.text_cells import MISSING_CELLS, number_parser

from edge_pipeline.data.csv import Layout
from edge_pipeline.data.date_cells import guess_date_style
from edge_pipeline.data.tables import thousands_separator

__all__ = ["guess_json_rules", "guess_rules"]

MISSING_MARKERS = (
    "-",
    "--",
    "---",
    "?",
    ".",
    "..",
    "*",
    "n.a.",
    "N.A.",
    "na",
    "missing",
    "Missing",
)
"""Texts that mark a missing value where every other cell of a column is a number."""

MIN_MARKED_SHARE = 0.5
"""Share of the cells that must have a mark, for the others to be the same without it."""

_CURRENCIES = (
    r"(?:[A-Z]{0,3}[$€£¥₹₽₩₪₫₴₺₦฿]|US\$|R\$|Rs\.?|kr\.?|zł|Kč|Ft|"
    r"USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|ZAR|RUB|TRY|KRW|MXN)"
)
_UNIT = r"[%‰°]?\s?[A-Za-zµμΩ°²³/]{1,8}[23]?|[%‰°]"
_MARKED = re.compile(
    rf"[(+-]?\s*(?P<before>{_CURRENCIES})?\s*[+-]?(?P<number>\d[\d.,'’   ]*|[.,]\d+)\s*"
    rf"(?P<after>{_CURRENCIES}|{_UNIT})?\s*\)?"
)
_CODE = re.compile(r"0\d")


def guess_rules(frame: pd.DataFrame, layout: Layout) -> Layout:
    """Return *layout* with the rules by which text columns of *frame* become numbers."""
    texts = {
        str(name): [str(text) for text in frame[name].dropna().unique()]
        for name in frame.columns
        if _holds_text(frame[name])
    }
    file_rule = layout.reading().rule("")
    missing = dict.fromkeys(
        marker for words in texts.values() for marker in _missing_markers(words, file_rule)
    )
    layout = replace(layout, missing=(*layout.missing, *missing))
    texts = {name: [w for w in words if w not in missing] for name, words in texts.items()}
    rules = {name: rule for name, words in texts.items() if (rule := _mark_rule(words, layout))}
    for name, words in texts.items():
        if style := guess_date_style(words):
            rules[name] = CellRule(date=style)
    marks = {
        mark
        for name, words in texts.items()
        if name not in rules and (mark := thousands_separator(pd.Series(words, dtype=object)))
    }
    if len(marks) == 1 and layout.thousands is None:
        mark = marks.pop()
        decimal = "," if mark == "." else layout.decimal
        layout = replace(layout, thousands=mark, decimal="." if mark == "," else decimal)
    return replace(layout, columns={**layout.columns, **rules})


def guess_json_rules(frame: pd.DataFrame, layout: Layout) -> Layout:
    """Return *layout* with a rule for each text column of JSON records that holds numbers.

    JSON has numbers of its own.  So only marks beside a number, or between its thousands, tell
    that a text is meant as one.
    """
    texts = {
        name: column.mask(column.isin([*MISSING_CELLS]))
        for name, column in frame.items()
        if _holds_text(column)
    }
    guess = guess_rules(pd.DataFrame(texts), layout)
    rules = dict(guess.columns)
    for name, column in texts.items():
        words = column[~column.isin(guess.missing)]
        if str(name) not in rules and guess.thousands and thousands_separator(words):
            rules[str(name)] = CellRule("", guess.decimal, guess.thousands)
    return replace(layout, missing=guess.missing if rules else (), columns=rules)


def _holds_text(column: pd.Series[Any]) -> bool:
    if not (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
        return False
    return all(isinstance(value, str) for value in column.dropna().head(100))


def _missing_markers(words: Sequence[str], rule: CellRule) -> list[str]:
    """Return the markers among *words*, if all the other words are numbers."""
    markers = [word for word in words if word in MISSING_MARKERS]
    number_words = [word for word in words if word not in MISSING_MARKERS]
    if not markers or not number_words:
        return []
    parse = number_parser(rule)
    for word in number_words:
        match = _MARKED.fullmatch(word.strip())
        if isinstance(parse(word), str) and (match is None or not _mark_of(match)):
            return []
    return markers


def _mark_of(match: re.Match[str]) -> str:
    return (match["before"] or match["after"] or "").strip()


def _mark_rule(words: Sequence[str], layout: Layout) -> CellRule | None:
    """Return the rule of a column in which one mark stands beside every number."""
    matches = [_MARKED.fullmatch(word.strip()) for word in words]
    if not matches or None in matches:
        return None
    present = [match for match in matches if match is not None]
    marks = [mark for match in present if (mark := _mark_of(match))]
    if len(set(marks)) != 1 or len(marks) < MIN_MARKED_SHARE * len(words):
        return None
    if any(match["before"] and match["after"] for match in present):
        return None
    numbers = [match["number"].strip() for match in present]
    if any(_CODE.match(number) for number in numbers):
        return None
    decimal, thousands = _number_marks(numbers, layout.decimal or ".")
    rule = CellRule(marks[0], decimal, thousands)
    parse = number_parser(rule)
    return rule if not any(isinstance(parse(word), str) for word in words) else None


def _number_marks(numbers: Sequence[str], file_decimal: str) -> tuple[str, str]:
    """Return the decimal mark and the mark between thousands of *numbers*."""
    for number in numbers:
        points, commas = number.rfind("."), number.rfind(",")
        if points >= 0 and commas >= 0:
            return (".", ",") if points > commas else (",", ".")
    for mark in "'’   ":
        if any(mark in number for number in numbers):
            has_comma = any("," in number for number in numbers)
            return ("," if has_comma else "."), mark
    other_mark = "," if file_decimal == "." else "."
    with_other_mark = [number for number in numbers if other_mark in number]
    if not with_other_mark:
        return file_decimal, ""
    grouped = re.compile(rf"[1-9]\d{{0,2}}(?:{re.escape(other_mark)}\d{{3}})+")
    if all(grouped.fullmatch(number) for number in with_other_mark):
        return file_decimal, other_mark
    return other_mark, ""
