"""Trace the lists of parts that ``series.str.split()`` returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_runtime.bundle.schema import MISSING_STRING

from edge_pipeline.conversion.graph import text_ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["TextParts"]


class TextParts:
    """The value of ``series.str.split(...)``: lists of texts, of which one part can be taken."""

    def __init__(
        self,
        parts: Tensor,
        counts: Tensor,
        text: Callable[[Tensor], Any],
        number: Callable[[Tensor], Any],
        *,
        most: int | None,
    ) -> None:
        self._parts = parts
        self._counts = counts
        self._text = text
        self._number = number
        self._most = most

    @property
    def str(self) -> TextParts:
        """Return the parts themselves: ``split().str[0]``."""
        return self

    def get(self, i: int) -> Any:
        """Return the part at *i*, missing where there are fewer."""
        if self._most is not None and not 0 <= i < self._most:
            raise TypeError(f"the part {i} of str.split(n={self._most}); split without n")
        return self._text(text_ops.token(self._parts, self._counts, int(i), MISSING_STRING))

    __getitem__ = get

    def len(self) -> Any:
        """Count the parts."""
        if self._most is not None:
            raise TypeError(f"the number of parts of str.split(n={self._most}); split without n")
        return self._number(self._counts)

    def __getattr__(self, name: Any) -> Any:
        raise AttributeError(
            f"{name} of the parts of str.split has no form in a graph; take one: .str[0]"
        )

    def __bool__(self) -> bool:
        raise TypeError("whether a text has parts is not known before the graph runs")

    def __len__(self) -> int:
        raise TypeError("the number of parts differs from row to row; use .str.len()")
