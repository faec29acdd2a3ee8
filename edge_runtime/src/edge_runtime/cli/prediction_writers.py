"""Write predictions as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bundle.manifest import Manifest, cell_to_json
from edge_runtime.cli.console import json_text
from edge_runtime.errors import InferenceError

if TYPE_CHECKING:
    from edge_runtime.inputs.flags import Flag

__all__ = ["FLAGS", "CsvWriter", "JsonWriter", "Predictions", "csv_text", "flags_to_array"]

FLAGS = "flags"
"""Name of the column of flags, beside the names of methods."""

Predictions = Mapping[str, Sequence[NDArray[Any]]]
"""Method to its arrays: one, or one for each target."""


def flags_to_array(flags: Sequence[tuple[Flag, ...]]) -> NDArray[Any]:
    """Convert the flags of rows to one array, as a method's predictions are one."""
    array = np.empty(len(flags), dtype=object)
    for row, flags_of_row in enumerate(flags):
        array[row] = flags_of_row
    return array


class CsvWriter:
    """Writes ``line``, then a column for each value: ``prediction``, ``probability_<class>``."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def header(self, predictions: Predictions) -> str:
        """Return the header line for *predictions*, which may be those of no rows."""
        return csv_text([["line", *(name for name, _ in self._columns(predictions))]])

    def text(self, lines: Sequence[int], predictions: Predictions) -> str:
        """Return the text for the rows that began on *lines*."""
        columns: list[Sequence[Any]] = [
            lines,
            *(values for _, values in self._columns(predictions)),
        ]
        rows = zip(*columns, strict=True)
        formats = ["%s", *map(_format, columns[1:])]
        if None in formats:
            return csv_text(rows)
        # The same text as csv's, in half of its time.
        return f"{','.join(map(str, formats))}\n" * len(lines) % tuple(chain.from_iterable(rows))

    def _columns(self, predictions: Predictions) -> list[tuple[str, list[Any]]]:
        columns: list[tuple[str, list[Any]]] = []
        for method, arrays in predictions.items():
            if method == "kneighbors":
                columns += _neighbor_columns(self._manifest, arrays)
                continue
            for i, array in enumerate(arrays):
                target = i if len(arrays) > 1 else None
                columns += _csv_columns(self._manifest, method, target, array)
        return columns


class JsonWriter:
    """Writes ``{"line": 2, "prediction": …, "probabilities": {class: …}}`` for each row."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def header(self, predictions: Predictions) -> str:
        """Return no text: JSON lines have no header."""
        return ""

    def text(self, lines: Sequence[int], predictions: Predictions) -> str:
        """Return the text for the rows that began on *lines*."""
        rows = zip(lines, self.values(len(lines), predictions), strict=True)
        return "".join(f"{json_text({'line': line, **row})}\n" for line, row in rows)

    def values(self, n_rows: int, predictions: Predictions) -> list[dict[str, Any]]:
        """Return each row's values by name, ready for JSON."""
        parts = [
            (_NAMES.get(method, (method, method))[1], _json_values(self._manifest, method, arrays))
            for method, arrays in predictions.items()
        ]
        return [{name: values[i] for name, values in parts} for i in range(n_rows)]


_NAMES = {
    "predict": ("prediction", "prediction"),
    "predict_proba": ("probability", "probabilities"),
    "predict_log_proba": ("log_probability", "log_probabilities"),
    "predict_std": ("standard_deviation", "standard_deviation"),
    "kneighbors": ("neighbor", "neighbors"),
}
"""Names in CSV and in JSON, for methods whose values have another name."""


def _csv_columns(
    manifest: Manifest, method: str, target: int | None, array: NDArray[Any]
) -> Iterable[tuple[str, list[Any]]]:
    name = _NAMES.get(method, (method, method))[0] + ("" if target is None else f".{target}")
    if method == FLAGS:
        return [(name, ["; ".join(map(str, flags)) for flags in array])]
    if array.ndim == 1:
        return [(name, array.tolist())]
    flat = array.reshape(len(array), math.prod(array.shape[1:]))  # -1 fails without rows
    labels = _labels(manifest, method, target, flat.shape[1])
    ends = [f"_{label}" for label in labels] or [f".{i}" for i in range(flat.shape[1])]
    return [(name + end, column) for end, column in zip(ends, flat.T.tolist(), strict=True)]


def _neighbor_columns(
    manifest: Manifest, arrays: Sequence[NDArray[Any]]
) -> Iterable[tuple[str, list[Any]]]:
    """Yield ``neighbor.0``, ``distance.0``, ``neighbor.1``, …: ids, or positions without ids."""
    distances, positions = arrays
    for i in range(positions.shape[1]):
        yield f"neighbor.{i}", _ids_at(manifest, positions[:, i].tolist())
        yield f"distance.{i}", distances[:, i].tolist()


def _ids_at(manifest: Manifest, positions: list[int]) -> list[Any]:
    ids = manifest.neighbors_ids
    try:
        return positions if ids is None else [ids[position] for position in positions]
    except IndexError as error:
        raise InferenceError(
            "the graph returns a position that has no id; build the model again"
        ) from error


def _neighbor_objects(manifest: Manifest, arrays: Sequence[NDArray[Any]]) -> list[Any]:
    """Return for each row a list of objects, the nearest first."""
    distances, positions = (array.tolist() for array in arrays)
    has_ids = manifest.neighbors_ids is not None
    rows = []
    for distances_of_row, positions_of_row in zip(distances, positions, strict=True):
        ids = _ids_at(manifest, positions_of_row)
        rows.append(
            [
                {"distance": cell_to_json(d), "position": p, **({"id": i} if has_ids else {})}
                for d, p, i in zip(distances_of_row, positions_of_row, ids, strict=True)
            ]
        )
    return rows


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as lines of CSV, with quotes where a cell needs them."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _format(values: Sequence[Any]) -> str | None:
    """Return the format of a column without quotes; None if it may need some."""
    kinds = set(map(type, values))
    if kinds <= {float}:
        return "%r"
    if kinds <= {int, bool}:
        return "%s"
    if kinds == {str}:
        # A class label comes many times.
        return None if any(_NEEDS_QUOTES.intersection(text) for text in set(values)) else "%s"
    return None


_NEEDS_QUOTES = frozenset(',"\r\n')


def _json_values(manifest: Manifest, method: str, arrays: Sequence[NDArray[Any]]) -> list[Any]:
    """Return one value for each row."""
    if method == FLAGS:
        return [[flag.to_json() for flag in flags] for flags in arrays[0]]
    if method == "kneighbors":
        return _neighbor_objects(manifest, arrays)
    per_target = []
    for i, array in enumerate(arrays):
        target = i if len(arrays) > 1 else None
        labels = _labels(manifest, method, target, array.shape[-1])
        values = _finite(array) if array.dtype.kind == "f" else array.tolist()
        if labels:
            values = [dict(zip(map(str, labels), row, strict=True)) for row in values]
        per_target.append(values)
    return (
        per_target[0]
        if len(per_target) == 1
        else [list(row) for row in zip(*per_target, strict=True)]
    )


def _labels(manifest: Manifest, method: str, target: int | None, width: int) -> Sequence[Any]:
    """Return the classes of the columns of probabilities; empty if the manifest names none."""
    labels: Sequence[Any] = manifest.classes.get("predict", ())
    if method not in ("predict_proba", "predict_log_proba") or not labels:
        return ()
    if target is not None:
        labels = labels[target] if target < len(labels) else ()
    return labels if len(labels) == width and not isinstance(labels[0], list) else ()


def _finite(array: NDArray[Any]) -> list[Any]:
    """Return values for JSON: NaN and infinity are spelt as in the manifest."""
    values: list[Any] = array.tolist()
    return values if np.isfinite(array).all() else [_json_value(value) for value in values]


def _json_value(value: Any) -> Any:
    return [_json_value(v) for v in value] if isinstance(value, list) else cell_to_json(value)
