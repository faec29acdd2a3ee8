"""Read rows of a table as a sealed model accepts them, and predict them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Schema
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.data.csv import Layout, layout_of_reading
from edge_pipeline.data.tables import plain_columns, read_table
from edge_pipeline.errors import MeasurementError

__all__ = ["Predictions", "predict_rows", "read_rows", "select_input", "take_rows"]


class Predictions(NamedTuple):
    """A model's predictions for a table, and the reasons for the rows that it refuses.

    Attributes
    ----------
    rows
        Positions of the rows that the model accepts.
    values
        The prediction for each of them.
    refused
        Position of a refused row to the reason.
    """

    rows: NDArray[np.int64]
    values: NDArray[Any]
    refused: dict[int, str]


def read_rows(source: Path | str | Any, *manifests: Manifest) -> Any:
    """Read the table in the file *source*; rows that are no path are returned unchanged.

    The file is read by the reading that the first of *manifests* with one has sealed.  Without
    any, its format is detected.  A column that is text in any of them is read as text.
    """
    if not isinstance(source, Path | str):
        return source
    file = Path(source)
    texts = {c.name for manifest in manifests for c in manifest.schema.columns if c.is_string}
    reading = next((m.reading for m in manifests if m.reading is not None), None)
    layout = Layout(row_index=None) if reading is None else layout_of_reading(reading)
    frame = read_table(file, layout, strings=sorted(texts))
    return plain_columns(frame, dict.fromkeys(texts & set(frame.columns), "string"), str(file))


def select_input(schema: Schema, rows: Any) -> Any:
    """Select the columns of *rows* that a model with *schema* needs, in a container it accepts.

    Raises
    ------
    MeasurementError
        A column is missing.
    """
    if not isinstance(rows, pd.DataFrame) or schema.kind in ("dicts", "lists"):
        return rows
    by_text = {str(name): name for name in rows.columns}
    if schema.kind == "text" and len(by_text) == 1:
        return [str(text) for text in rows.iloc[:, 0]]
    missing = [name for name in schema.names if name not in by_text]
    if not missing:
        columns = rows[[by_text[name] for name in schema.names]]
        if schema.kind == "text":
            return [str(text) for text in columns.iloc[:, 0]]
        return columns.iloc[:, 0].to_numpy() if schema.kind == "vector" else columns
    if schema.kind in ("array", "vector") and len(by_text) == len(schema.columns):
        array = rows.to_numpy()
        return array[:, 0] if schema.kind == "vector" else array
    raise MeasurementError(
        f"the rows lack the column {missing[0]!r}, which the model needs; they have "
        f"{', '.join(list(by_text)[:12])}"
    )


def predict_rows(model: Model, method: str, rows: Any) -> Predictions:
    """Run *method* of *model* on all rows at once, or row by row if the model refuses some.

    Raises
    ------
    MeasurementError
        The model refuses every row.
    """
    count = len(rows)
    try:
        return Predictions(np.arange(count), _values(model, method, rows), {})
    except (InputError, InferenceError):
        pass
    accepted: list[int] = []
    values: list[Any] = []
    refused: dict[int, str] = {}
    for row in range(count):
        try:
            values.append(_values(model, method, take_rows(rows, [row]))[0])
            accepted.append(row)
        except (InputError, InferenceError) as error:
            refused[row] = str(error)
    if not accepted:
        reason = next(iter(refused.values()), "there are no rows")
        raise MeasurementError(f"{model.manifest.name} refuses all {count} rows: {reason}")
    return Predictions(np.array(accepted), np.array(values), refused)


def _values(model: Model, method: str, rows: Any) -> NDArray[Any]:
    """Run *method*; of kneighbors take the positions, which are what a user sees."""
    result = getattr(model, method)(rows)
    return np.asarray(result[1] if method == "kneighbors" else result)


def take_rows(rows: Any, positions: Any) -> Any:
    """Take the rows at *positions*, in the same container."""
    if hasattr(rows, "iloc"):
        return rows.iloc[positions]
    return rows[positions] if hasattr(rows, "shape") else [rows[i] for i in positions]
