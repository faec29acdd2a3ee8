"""A manifest in, what a notebook shows of its model out: HTML, every name escaped."""

from __future__ import annotations

from html import escape

from edge_runtime.bundle.manifest import Manifest

__all__ = ["as_html", "table"]

MOST_COLUMNS = 30
"""Columns listed; a notebook is no place for a thousand."""


def as_html(manifest: Manifest) -> str:
    """Name, task, columns, metrics and evidence as a small table."""
    columns = manifest.schema.columns
    shown = ", ".join(f"{column.name} ({column.type})" for column in columns[:MOST_COLUMNS])
    more = len(columns) - MOST_COLUMNS
    labels = [str(label) for label in manifest.classes.get("predict", ())]
    return table(
        f"{manifest.name}, version {manifest.version}",
        [
            ("task", manifest.task),
            ("columns", f"{shown} and {more} more" if more > 0 else shown),
            ("answers", ", ".join(output.name for output in manifest.outputs)),
            *([("classes", ", ".join(labels[:MOST_COLUMNS]))] if labels else []),
            *((name, f"{value:.4f}") for name, value in manifest.metrics.items()),
            *(
                (f"evidence {name}", f"{found.level}; {found.rows} rows, {found.differing} differ")
                for name, found in manifest.parity.outputs.items()
            ),
        ],
    )


def table(title: str, rows: list[tuple[str, str]]) -> str:
    """Names and values under a title, as HTML."""
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in rows
    )
    caption = f'<caption style="text-align:left;font-weight:bold">{escape(title)}</caption>'
    return f"<table>{caption}<tbody>{body}</tbody></table>"
