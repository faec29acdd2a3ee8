"""Imitate tables and cells of pandas, as far as input validation reads them."""

from typing import Any

import numpy as np

ROW: dict[str, Any] = {
    "height": 1.5,
    "city": "Paris",
    "children": 2,
    "smoker": True,
    "street": "Rue A",
}


class Frame:
    """A data frame with only the members that are read: columns, items by name, to_numpy."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._cells = columns
        self.columns = list(columns)

    def __len__(self) -> int:
        return len(next(iter(self._cells.values())))

    def __getitem__(self, name: str) -> Any:
        return np.asarray(self._cells[name])

    def to_numpy(self) -> Any:
        raise AssertionError("a table of several types must not go through one object array")


class NotAvailable:
    """Returns itself from every comparison, as pandas.NA does."""

    def __eq__(self, other: object) -> Any:
        return self

    def __ne__(self, other: object) -> Any:
        return self

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")
