"""Show a model in a notebook: its manifest as an HTML table, with every name escaped."""

from __future__ import annotations

from html import escape

from edge_runtime.bundle.manifest import Manifest

__all__ = ["as_html", "table"]

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


def table(title: str, rows: list[tuple[str, str]]) -> str:
    """Write names and values under a title as HTML."""
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in rows
    )
    caption = f'<caption style="text-align:left;font-weight:bold">{escape(title)}</caption>'
    return f"<table>{caption}<tbody>{body}</tbody></table>"
