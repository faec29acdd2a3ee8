"""Describe for words.js how the columns of counts follow from texts."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from edge_runtime.bundle.schema import Schema
from edge_runtime.vectorizers.specification import Characters, Derived, Vocabulary, Words

from edge_pipeline.errors import MeasurementError

__all__ = ["text_blocks", "unicode_pattern"]

_QUANTIFIER = r"(?:\+|\{[1-9]\d*(?:,\d*)?\})?"
_ATOM = r"(?:\\[bw]|[A-Za-z0-9_' ]|\[(?:\\w|[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_' ])+\])"
_PATTERN = re.compile(rf"(?:\(\?u\))?((?:{_ATOM}{_QUANTIFIER})+)")
"""Patterns whose translation is certain: words, letters, sets of these, each at least once."""

_WORD = r"\p{L}\p{N}_"
_EDGE = rf"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"


def text_blocks(schema: Schema) -> list[dict[str, Any]]:
    """Return each derived block of *schema* as plain values.

    Raises
    ------
    MeasurementError
        The page's script cannot count like this.
    """
    return [_block(block, schema.names.index(block.column)) for block in schema.derived]


def _block(block: Derived, source: int) -> dict[str, Any]:
    reading, placing = block.reading, block.placing
    if not isinstance(reading, Words | Characters):
        raise MeasurementError("the model counts entries, which the page's script does not")
    if not isinstance(placing, Vocabulary):
        raise MeasurementError("the model hashes words, which the page's script does not")
    if reading.accents == "unicode":
        raise MeasurementError(
            "the model strips accents by Unicode's combining classes, which JavaScript lacks"
        )
    values = asdict(reading)
    if isinstance(reading, Words):
        values["pattern"] = unicode_pattern(reading.pattern)
    return {
        "source": source,
        "reading": {"kind": "words" if isinstance(reading, Words) else "characters", **values},
        "terms": list(placing.terms),
        "binary": block.binary,
        "norm": block.norm,
    }


def unicode_pattern(pattern: str) -> str:
    """Translate a Python pattern for words to JavaScript, whose word class is ASCII alone.

    Raises
    ------
    MeasurementError
        The pattern has something else than words, letters and sets of these.
    """
    match = _PATTERN.fullmatch(pattern)
    if match is None:
        raise MeasurementError(f"the page cannot split a text by the pattern {pattern}")
    in_sets = re.sub(r"\[.*?\]", lambda m: m[0].replace(r"\w", _WORD), match[1])
    return in_sets.replace(r"\w", f"[{_WORD}]").replace(r"\b", _EDGE)
