"""Show a model in a notebook: its manifest as an HTML table, with every name escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.bundle.manifest import Manifest
    from edge_runtime.bundle.schema import Column, Schema

__all__ = ["as_html", "grid", "schema_as_html", "table"]

MOST_COLUMNS = 30
"""Most columns and classes that the table lists."""


def as_html(manifest: Manifest) -> str:
    """Write name, task, columns, metrics and evidence as an HTML table."""
    columns = manifest.schema.columns
    listing = ", ".join(f"{column.name} ({column.type})" for column in columns[:MOST_COLUMNS])
    n_more = len(columns) - MOST_COLUMNS
    labels = [str(label) for label in manifest.classes.get("predict", ())]
    return table(
        f"{manifest.name}, version {manifest.version}",
        [
            ("task", manifest.task),
            ("columns", f"{listing} and {n_more} more" if n_more > 0 else listing),
            ("outputs", ", ".join(output.name for output in manifest.outputs)),
            *([("classes", ", ".join(labels[:MOST_COLUMNS]))] if labels else []),
            *((name, f"{value:.4f}") for name, value in manifest.metrics.items()),
            *(
                (
                    f"evidence {name}",
                    f"{evidence.level}; {evidence.rows} rows, {evidence.differing} differ",
                )
                for name, evidence in manifest.parity.outputs.items()
            ),
        ],
    )


def schema_as_html(schema: Schema) -> str:
    """Write the columns with type, values of training, and whether a value may be missing."""
    columns = schema.columns[:MOST_COLUMNS]
    n_more = len(schema.columns) - len(columns)
    rows = [
        (c.name, c.type, _values_of(c), "may be missing" if c.missing else "required")
        for c in columns
    ]
    more = [(f"and {n_more} more", "", "", "")] if n_more > 0 else []
    return grid(f"{schema.kind} of {len(schema.columns)} columns", _HEADER, [*rows, *more])


_HEADER = ("column", "type", "in training", "a missing value")
_MOST_VALUES = 6


def _values_of(column: Column) -> str:
    if column.categories is not None:
        n_more = len(column.categories) - _MOST_VALUES
        listed = ", ".join(str(value)[:40] for value in column.categories[:_MOST_VALUES])
        return f"{listed} and {n_more} more" if n_more > 0 else listed
    return column.range_text


def grid(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table with a header as HTML; every cell is escaped."""
    left = ' style="text-align:left"'
    head = "".join(f'<th scope="col"{left}>{escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td{left}>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    caption = f'<caption style="text-align:left;font-weight:bold">{escape(title)}</caption>'
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table(title: str, rows: list[tuple[str, str]]) -> str:
    """Write names and values under a title as HTML."""
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in rows
    )
    caption = f'<caption style="text-align:left;font-weight:bold">{escape(title)}</caption>'
    return f"<table>{caption}<tbody>{body}</tbody></table>"
