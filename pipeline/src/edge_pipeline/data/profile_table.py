"""List the columns of a described table, for the command line and for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.notebook_html import grid

if TYPE_CHECKING:
    from edge_pipeline.data.profile import TableDescription

__all__ = ["HEADER", "as_html", "column_rows"]

HEADER = ("column", "type", "missing", "different", "", "")


def column_rows(description: TableDescription) -> list[tuple[str, ...]]:
    """List name, type, missing and different values, role, and a note or examples."""
    rows: list[tuple[str, ...]] = []
    for column in description.columns:
        role = "target" if column.name in description.targets else column.left_out and "left out"
        note = "; ".join(filter(None, [column.left_out, *column.notes]))
        note = note or f"such as {', '.join(column.examples)}"
        missing = str(column.missing) if column.missing else ""
        rows.append((column.name, column.kind, missing, str(column.distinct), role, note))
    return rows


def as_html(description: TableDescription) -> str:
    """Write the columns as an HTML table."""
    target = f", target {', '.join(description.targets)}" if description.targets else ""
    title = f"{description.source}: {description.rows:,} rows, {description.task}{target}"
    return grid(title, HEADER, column_rows(description))
