"""Answers in, CSV or JSON lines out; a file appears whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from edge_runtime.manifest import Manifest, cell_to_json

__all__ = ["CsvWriter", "JsonWriter", "open_target"]

Answers = Mapping[str, Sequence[NDArray[Any]]]
"""Method to its arrays: one, or one a target."""


class CsvWriter:
    """Writes ``line``, then a column for each number: ``prediction``, ``probability_<class>``."""

    def __init__(self, stream: TextIO, manifest: Manifest) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")
        self._manifest = manifest
        self._headed = False

    def write(self, lines: Sequence[int], answers: Answers) -> None:
        """Write the rows that began on *lines*; the header before the first of them."""
        columns: list[tuple[str, list[Any]]] = [("line", list(lines))]
        for method, arrays in answers.items():
            for item, array in enumerate(arrays):
                where = f".{item}" if len(arrays) > 1 else ""
                columns += _csv_columns(self._manifest, method, where, array)
        if not self._headed:
            self._writer.writerow([name for name, _ in columns])
            self._headed = True
        self._writer.writerows(zip(*(values for _, values in columns), strict=True))


class JsonWriter:
    """Writes an object a row: ``{"line": 2, "prediction": …, "probabilities": {class: …}}``."""

    def __init__(self, stream: TextIO, manifest: Manifest) -> None:
        self._stream = stream
        self._manifest = manifest

    def write(self, lines: Sequence[int], answers: Answers) -> None:
        """Write the rows that began on *lines*."""
        parts = [
            (_NAMES.get(method, (method, method))[1], _json_values(self._manifest, method, arrays))
            for method, arrays in answers.items()
        ]
        for i, line in enumerate(lines):
            row = {"line": line, **{name: values[i] for name, values in parts}}
            self._stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


_NAMES = {
    "predict": ("prediction", "prediction"),
    "predict_proba": ("probability", "probabilities"),
}
"""Method to its name in CSV and in JSON, where it is not its own."""


@contextmanager
def open_target(path: str | None) -> Iterator[TextIO]:
    """Standard output when *path* is None, else a file that appears whole at the end.

    Nothing appears when the block raises.  A device or pipe is written to as it is.
    """
    if path is None:
        yield sys.stdout
        return
    target = Path(path)
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _umask() -> int:
    # The only way to read it is to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _csv_columns(
    manifest: Manifest, method: str, where: str, array: NDArray[Any]
) -> Iterable[tuple[str, list[Any]]]:
    name = _NAMES.get(method, (method, method))[0] + where
    if array.ndim == 1:
        return [(name, array.tolist())]
    flat = array.reshape(len(array), -1)
    labels = _classes(manifest, method, where)
    suffixes = (
        [f"_{label}" for label in labels] if labels else [f".{i}" for i in range(flat.shape[1])]
    )
    return [(name + suffix, flat[:, i].tolist()) for i, suffix in enumerate(suffixes)]


def _json_values(manifest: Manifest, method: str, arrays: Sequence[NDArray[Any]]) -> list[Any]:
    """One value a row."""
    per_item = []
    for item, array in enumerate(arrays):
        labels = _classes(manifest, method, f".{item}" if len(arrays) > 1 else "")
        values = _finite(array) if array.dtype.kind == "f" else array.tolist()
        if labels and array.ndim == 2:
            values = [dict(zip(map(str, labels), row, strict=True)) for row in values]
        per_item.append(values)
    return per_item[0] if len(per_item) == 1 else [list(row) for row in zip(*per_item, strict=True)]


def _classes(manifest: Manifest, method: str, where: str) -> Sequence[Any] | None:
    """Labels of the columns of a predict_proba output."""
    return manifest.classes.get(method + where) if method == "predict_proba" else None


def _finite(array: NDArray[Any]) -> list[Any]:
    """As JSON can write it: NaN and infinity as the manifest writes them."""
    values: list[Any] = array.tolist()
    return values if np.isfinite(array).all() else [_writable(value) for value in values]


def _writable(value: Any) -> Any:
    return [_writable(v) for v in value] if isinstance(value, list) else cell_to_json(value)
