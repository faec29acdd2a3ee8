"""Compute derived columns from text, dict and list cells, behind the numeric columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.bundle.schema import CELLS, NUMBERS, Schema
from edge_runtime.errors import InputError
from edge_runtime.inputs.cells import describe_error, kind_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.vectorizers.counter import Counter

__all__ = ["MAX_CELLS_AT_ONCE", "DerivedColumns"]

MAX_CELLS_AT_ONCE = 1 << 20
"""Most numbers that one run of a graph with derived columns takes: 8 MiB.

A vocabulary of 100,000 words makes 0.8 MB of every row.
"""


class DerivedColumns:
    """Fills the derived columns, block after block."""

    def __init__(self, schema: Schema) -> None:
        # Imported here because few models need them.
        from edge_runtime.vectorizers.counter import UnreadableError, counter

        self._unreadable = UnreadableError
        names = [schema.names[i] for i in schema.sources]
        self._names = names
        self._width = schema.numbers_width
        start = len(schema.numeric)
        self._blocks: list[tuple[int, int, Counter]] = []
        for block in schema.derived:
            self._blocks.append((names.index(block.column), start, counter(block)))
            start += block.width

    def widen(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Append the derived columns to the numeric block, and drop the raw cells.

        Raises
        ------
        InputError
            For the first cell that cannot be read.
        """
        return next(self.slices(feeds, [(0, len(feeds[CELLS]))]))

    def slices(
        self, feeds: dict[str, NDArray[Any]], bounds: Sequence[tuple[int, int]]
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield *feeds*, widened, in slices; *bounds* are the start and the end of each.

        All slices share one buffer, so finish with each before taking the next.  A new buffer of
        8 MB for a slice of hashed text would cost more than the rest of its prediction.
        """
        buffer = np.zeros((max(end - start for start, end in bounds), self._width))
        touched: list[tuple[int, int]] = []
        for start, end in bounds:
            part = {name: block[start:end] for name, block in feeds.items()}
            for place in touched:
                buffer[place] = 0.0
            touched.clear()
            cells = part.pop(CELLS)
            numbers = buffer[: len(cells)]
            numeric = part.get(NUMBERS)
            if numeric is not None:
                numbers[:, : numeric.shape[1]] = numeric
            for row, cells_of_row in enumerate(cells):
                for column, value in self._features(cells_of_row, start + row):
                    numbers[row, column] = value
                    touched.append((row, column))
            yield {**part, NUMBERS: numbers}

    def write(self, cells: Sequence[Any], numbers: NDArray[Any], touched: list[int]) -> None:
        """Put one row's derived columns into *numbers*, of shape (1, width).

        Parameters
        ----------
        cells
            The cells of the columns ``schema.sources``.
        touched
            Columns that the row before has filled; replaced by this row's.
        """
        flat = numbers[0]
        for column in touched:
            flat[column] = 0.0
        touched.clear()
        for column, value in self._features(cells, None):
            flat[column] = value
            touched.append(column)

    def _features(self, cells: Sequence[Any], row: int | None) -> Iterable[tuple[int, float]]:
        for source, start, count in self._blocks:
            try:
                counts = count(cells[source])
            except self._unreadable as error:
                raise InputError(str(error), row=row, column=self._names[source]) from error
            except MemoryError:
                raise
            except Exception as error:  # the methods of a foreign class may raise anything
                raise InputError(
                    f"the {kind_name(cells[source])} cannot be read: {describe_error(error)}",
                    row=row,
                    column=self._names[source],
                ) from error
            for column, value in counts.items():
                yield start + column, value
