"""Say in sentences how a CSV file is written, where that is not the usual way."""

from __future__ import annotations

from edge_pipeline.data.csv import Layout
from edge_pipeline.data.imports import join_names

__all__ = ["layout_notes"]


def layout_notes(layout: Layout) -> list[str]:
    """Return remarks for the user about the format of the file, and about its cells."""
    notes = []
    settings = [
        f"{key} = {value!r}"
        for key, value, default in (
            ("separator", layout.separator, ","),
            ("decimal", layout.decimal, "."),
            ("thousands", layout.thousands, None),
            ("encoding", layout.encoding, "utf-8"),
        )
        if value != default
    ]
    if settings:
        notes.append(f"the file is written with {', '.join(settings)}")
    if layout.row_index:
        name = repr(layout.index_name) if layout.index_name else "which has no name"
        notes.append(f"the first column, {name}, only numbers the rows, and is left out")
    if layout.header is False:
        notes.append(
            f"the first line looks like a row, so the columns are called {layout.names[0]}, …; "
            "if it names them, say header = true in [reading]"
        )
    if layout.missing:
        notes.append(
            f"cells that stand for a missing value: {join_names(list(map(repr, layout.missing)))}"
        )
    notes += [
        f"{name} holds dates in the style {rule.date!r}"
        if rule.date
        else f"{name} holds numbers with the mark {rule.mark!r}"
        for name, rule in layout.columns.items()
    ]
    return notes
