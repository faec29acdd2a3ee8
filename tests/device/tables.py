"""Tables and cells of other libraries, as far as the border looks at them."""

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
    """A data frame as far as the border looks: names, columns by name, to_numpy."""

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
    """Compares as pandas.NA does: every answer is itself."""

    def __eq__(self, other: object) -> Any:
        return self

    def __ne__(self, other: object) -> Any:
        return self

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")
