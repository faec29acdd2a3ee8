"""Rows of a table, as a sealed model takes them; and its answers to those that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from edge_runtime.bundle.schema import Schema
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.data.tables import plain_columns, read_table
from edge_pipeline.errors import MeasurementError

__all__ = ["Predictions", "predict_rows", "read_rows", "select_input", "take_rows"]


class Predictions(NamedTuple):
    """What a model answers to rows, and why it refuses the others.

    Attributes
    ----------
    rows
        Positions of the rows that it answers.
    given
        Its answers to them.
    refused
        Position of a row to the reason.
    """

    rows: NDArray[np.int64]
    given: NDArray[Any]
    refused: dict[int, str]


def read_rows(source: Path | str | Any, *schemas: Schema) -> Any:
    """*source* as it is, or the table in the file that it names.

    A column that any of *schemas* has as text is read as text.
    """
    if not isinstance(source, Path | str):
        return source
    file = Path(source)
    texts = {c.name for schema in schemas for c in schema.columns if c.is_string}
    frame = read_table(file, strings=sorted(texts))
    return plain_columns(frame, dict.fromkeys(texts & set(frame.columns), "string"), str(file))


def select_input(schema: Schema, rows: Any) -> Any:
    """The part of *rows* that a model with *schema* asks for, in a container that it takes.

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
        chosen = rows[[by_text[name] for name in schema.names]]
        if schema.kind == "text":
            return [str(text) for text in chosen.iloc[:, 0]]
        return chosen.iloc[:, 0].to_numpy() if schema.kind == "vector" else chosen
    if schema.kind in ("array", "vector") and len(by_text) == len(schema.columns):
        array = rows.to_numpy()
        return array[:, 0] if schema.kind == "vector" else array
    raise MeasurementError(
        f"the rows lack the column {missing[0]!r}, which the model asks for; they have "
        f"{', '.join(list(by_text)[:12])}"
    )


def predict_rows(model: Model, method: str, rows: Any) -> Predictions:
    """Ask *rows*, one by one if they are not all taken together.

    Raises
    ------
    MeasurementError
        No row is answered.
    """
    count = len(rows)
    try:
        return Predictions(np.arange(count), np.asarray(getattr(model, method)(rows)), {})
    except (InputError, InferenceError):
        pass
    kept: list[int] = []
    given: list[Any] = []
    refused: dict[int, str] = {}
    for row in range(count):
        try:
            given.append(np.asarray(getattr(model, method)(take_rows(rows, [row])))[0])
            kept.append(row)
        except (InputError, InferenceError) as error:
            refused[row] = str(error)
    if not kept:
        reason = next(iter(refused.values()), "there is none")
        raise MeasurementError(f"{model.manifest.name} answers none of the {count} rows: {reason}")
    return Predictions(np.array(kept), np.array(given), refused)


def take_rows(rows: Any, positions: Any) -> Any:
    """Some of *rows*, in the same container."""
    if hasattr(rows, "iloc"):
        return rows.iloc[positions]
    return rows[positions] if hasattr(rows, "shape") else [rows[i] for i in positions]
