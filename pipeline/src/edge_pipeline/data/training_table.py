"""Describe the table that a model was trained on, so that the device can read it again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_runtime.bundle.reading import PLAIN, Reading
from edge_runtime.bundle.schema import Column, Schema

from edge_pipeline.data.csv import Layout

__all__ = ["TrainingTable"]

PANDAS_INDEX = "Unnamed: 0"
"""The name that pandas gives to a first column without one."""


@dataclass(frozen=True)
class TrainingTable:
    """How a training table was read, and the columns that it had.

    Attributes
    ----------
    columns
        Every column, the target and the excluded ones as well: the device ignores those that the
        model does not read.
    reading
        How its text became values; None for a table that was no text.
    """

    columns: tuple[str, ...] = ()
    reading: Reading | None = None

    @classmethod
    def of_file(cls, columns: tuple[str, ...], layout: Layout | None) -> TrainingTable:
        """Describe a table with *columns* that was read by *layout*, its row index included."""
        if layout is None:
            return cls(columns)
        if layout.row_index:
            names = (layout.index_name,) if layout.index_name else ("", PANDAS_INDEX)
            columns = (*names, *columns)
        return cls(columns, layout.reading())

    @property
    def sealed_reading(self) -> Reading | None:
        """The reading for the manifest: None where it is the default."""
        return None if self.reading == PLAIN else self.reading

    def known_to(self, schema: Schema) -> Schema:
        """Return *schema* with the styles of dates, and the table's other columns as ignored."""
        if schema.kind != "table":
            return schema
        columns = tuple(_with_style(column, self.reading or PLAIN) for column in schema.columns)
        schema = replace(schema, columns=columns)
        names = dict.fromkeys((*schema.ignored, *self.columns))
        return replace(schema, ignored=tuple(n for n in names if n not in schema.names))


def _with_style(column: Column, reading: Reading) -> Column:
    """Return a column of dates with the style in which the training file wrote them."""
    style = reading.rule(column.name).date
    if column.dates is None or style is None:
        return column
    return replace(column, dates=replace(column.dates, style=style))
