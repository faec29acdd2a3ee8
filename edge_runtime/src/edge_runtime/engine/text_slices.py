"""Cut a table of texts into slices, for graphs that cut texts into characters or words.

Such a graph makes a matrix of rows times the longest text, and one long text widens all rows.  So a
slice has few rows where texts are long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.schema import Schema
from edge_runtime.errors import InputError
from edge_runtime.graph_safety.onnx_graph import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_CELLS_AT_ONCE", "MAX_TEXT_CHARACTERS", "TextSlicer", "cuts_texts"]

MAX_CELLS_AT_ONCE = 1 << 18
"""Most characters of one matrix: rows of a slice times its longest text.  4,096 rows of 64
characters are one slice; a matrix takes onnxruntime 8 MB."""

MAX_TEXT_CHARACTERS = 1_000_000
"""Longest text that is cut, as for the texts of vectorizers: one cell must not block a device."""

_CUTTING = frozenset({b"Tokenizer", b"StringSplit"})


def cuts_texts(graph: Scope) -> bool:
    """Whether a node of *graph*, or of a subgraph, cuts texts into characters or words."""
    return any(
        node.op in _CUTTING or any(cuts_texts(subgraph) for _, subgraph in node.subgraphs)
        for node in graph.nodes
    )


class TextSlicer:
    """Finds the slices of a block of texts, and refuses texts that are too long."""

    def __init__(self, schema: Schema) -> None:
        self._names = [schema.columns[i].name for i in schema.textual]

    def slices(self, texts: NDArray[Any], max_rows: int) -> Iterator[tuple[int, int]]:
        """Yield start and end of each slice of *texts*, of at most *max_rows* rows.

        Raises
        ------
        InputError
            A text is too long, in any row.
        """
        lengths = [self._longest(cells, row) for row, cells in enumerate(texts.tolist())]
        start = longest = 0
        for row, length in enumerate(lengths):
            longest = max(longest, length)
            n_rows = row + 1 - start
            if n_rows > 1 and (n_rows > max_rows or n_rows * longest > MAX_CELLS_AT_ONCE):
                yield start, row
                start, longest = row, length
        yield start, len(lengths)

    def check_row(self, texts: NDArray[Any]) -> None:
        """Refuse a single row with a text that is too long."""
        self._longest(texts[0].tolist(), None)

    def _longest(self, cells: list[str], row: int | None) -> int:
        """Find the length of the longest text of a row."""
        longest = max(map(len, cells))
        if longest > MAX_TEXT_CHARACTERS:
            column = self._names[[len(cell) for cell in cells].index(longest)]
            raise InputError(
                f"expected a text of at most {MAX_TEXT_CHARACTERS} characters, found {longest}; "
                "cut it",
                row=row,
                column=column,
            )
        return longest
