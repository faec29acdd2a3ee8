"""Answers in, CSV or JSON lines out."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import Manifest, cell_to_json

__all__ = ["Answers", "CsvWriter", "JsonWriter"]

Answers = Mapping[str, Sequence[NDArray[Any]]]
"""Method to its arrays: one, or one a target."""


class CsvWriter:
    """Writes ``line``, then a column for each number: ``prediction``, ``probability_<class>``."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def header(self, answers: Answers) -> str:
        """What stands above *answers*, which may be those of no rows."""
        return _csv_text([["line", *(name for name, _ in self._columns(answers))]])

    def text(self, lines: Sequence[int], answers: Answers) -> str:
        """The rows that began on *lines*."""
        columns: list[Sequence[Any]] = [lines, *(values for _, values in self._columns(answers))]
        rows = zip(*columns, strict=True)
        forms = ["%s", *map(_form, columns[1:])]
        if None in forms:
            return _csv_text(rows)
        # What csv would write, in one go: half of its time.
        return f"{','.join(map(str, forms))}\n" * len(lines) % tuple(chain.from_iterable(rows))

    def _columns(self, answers: Answers) -> list[tuple[str, list[Any]]]:
        columns: list[tuple[str, list[Any]]] = []
        for method, arrays in answers.items():
            for item, array in enumerate(arrays):
                numbered = item if len(arrays) > 1 else None
                columns += _csv_columns(self._manifest, method, numbered, array)
        return columns


class JsonWriter:
    """Writes an object a row: ``{"line": 2, "prediction": …, "probabilities": {class: …}}``."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def header(self, answers: Answers) -> str:
        """Nothing."""
        return ""

    def text(self, lines: Sequence[int], answers: Answers) -> str:
        """The rows that began on *lines*."""
        parts = [
            (_NAMES.get(method, (method, method))[1], _json_values(self._manifest, method, arrays))
            for method, arrays in answers.items()
        ]
        rows = [
            {"line": line, **{name: values[i] for name, values in parts}}
            for i, line in enumerate(lines)
        ]
        return "".join(f"{_json_text(row)}\n" for row in rows)


_NAMES = {
    "predict": ("prediction", "prediction"),
    "predict_proba": ("probability", "probabilities"),
}
"""Method to its name in CSV and in JSON, where it is not its own."""


def _csv_columns(
    manifest: Manifest, method: str, item: int | None, array: NDArray[Any]
) -> Iterable[tuple[str, list[Any]]]:
    name = _NAMES.get(method, (method, method))[0] + ("" if item is None else f".{item}")
    if array.ndim == 1:
        return [(name, array.tolist())]
    flat = array.reshape(len(array), math.prod(array.shape[1:]))  # -1 fails without rows
    labels = _labels(manifest, method, item, flat.shape[1])
    ends = [f"_{label}" for label in labels] or [f".{i}" for i in range(flat.shape[1])]
    return [(name + end, column) for end, column in zip(ends, flat.T.tolist(), strict=True)]


_json_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _csv_text(rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _form(values: Sequence[Any]) -> str | None:
    """How a column is written that needs no quotes; None when it may need some."""
    kinds = set(map(type, values))
    if kinds <= {float}:
        return "%r"
    if kinds <= {int, bool}:
        return "%s"
    if kinds == {str}:
        # A class label comes up again and again.
        return None if any(_NEEDS_QUOTES.intersection(text) for text in set(values)) else "%s"
    return None


_NEEDS_QUOTES = frozenset(',"\r\n')


def _json_values(manifest: Manifest, method: str, arrays: Sequence[NDArray[Any]]) -> list[Any]:
    """One value a row."""
    per_item = []
    for item, array in enumerate(arrays):
        numbered = item if len(arrays) > 1 else None
        labels = _labels(manifest, method, numbered, array.shape[-1])
        values = _finite(array) if array.dtype.kind == "f" else array.tolist()
        if labels:
            values = [dict(zip(map(str, labels), row, strict=True)) for row in values]
        per_item.append(values)
    return per_item[0] if len(per_item) == 1 else [list(row) for row in zip(*per_item, strict=True)]


def _labels(manifest: Manifest, method: str, item: int | None, width: int) -> Sequence[Any]:
    """What the columns of predict_proba stand for; empty when nobody says."""
    labels: Sequence[Any] = manifest.classes.get("predict", ())
    if method != "predict_proba" or not labels:
        return ()
    if item is not None:
        labels = labels[item] if item < len(labels) else ()
    return labels if len(labels) == width and not isinstance(labels[0], list) else ()


def _finite(array: NDArray[Any]) -> list[Any]:
    """As JSON can write it: NaN and infinity as the manifest writes them."""
    values: list[Any] = array.tolist()
    return values if np.isfinite(array).all() else [_writable(value) for value in values]


def _writable(value: Any) -> Any:
    return [_writable(v) for v in value] if isinstance(value, list) else cell_to_json(value)
