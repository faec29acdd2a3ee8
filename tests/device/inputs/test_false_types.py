"""Cells and names whose methods raise or return false values lead to an InputError only."""

import collections
import sys
import threading
import unittest.mock
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from device.models import labels
from device.tables import ROW, NotAvailable

import edge_runtime
from edge_runtime import InputError, Model


class StrangeError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Metaclass(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Nameless(metaclass=Metaclass):
    pass


class LyingFloat:
    __class__ = float  # type: ignore[assignment]


class LyingStr:
    __class__ = str  # type: ignore[assignment]


class RaisingClass:
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise StrangeError


class RaisingItem(np.ndarray):
    def item(self, *_: Any) -> Any:
        raise StrangeError

    @property
    def shape(self) -> Any:  # type: ignore[override]
        raise StrangeError


class RaisingMask(np.ma.MaskedArray):
    @property
    def mask(self) -> Any:  # type: ignore[override]
        raise StrangeError


class RaisingLength(list[float]):
    def __len__(self) -> int:
        raise StrangeError


class RaisingBytes(bytes):
    def __str__(self) -> str:
        raise StrangeError


class RaisingComplex(complex):
    def __str__(self) -> str:
        raise StrangeError


class RaisingComparison:
    def __ne__(self, other: object) -> bool:
        raise StrangeError

    __hash__ = None  # type: ignore[assignment]


LIARS: dict[str, Callable[[], Any]] = {
    "float of a mock": lambda: unittest.mock.Mock(spec=float),
    "str of a mock": lambda: unittest.mock.Mock(spec=str),
    "float by its word": LyingFloat,
    "str by its word": LyingStr,
    "class that raises": RaisingClass,
    "item that raises": lambda: np.zeros((1, 1)).view(RaisingItem),
    "mask that raises": lambda: np.ma.array([1.0]).view(RaisingMask),
    "length that raises": lambda: RaisingLength([1.0]),
    "bytes": lambda: RaisingBytes(b"x"),
    "complex": lambda: RaisingComplex(1j),
    "comparison that raises": RaisingComparison,
    "no name": Nameless,
}


@pytest.mark.parametrize("liar", LIARS)
@pytest.mark.parametrize("column", ["children", "city", "street"])
def test_a_cell_that_raises_or_lies_is_refused_by_row_and_column(
    mixed: Model, liar: str, column: str
) -> None:
    row = {**ROW, column: LIARS[liar]()}
    with pytest.raises(InputError, match=r"expected (text|a number), found") as caught:
        mixed.predict_one(row)
    assert caught.value.column == column
    assert mixed.predict_one(ROW) == 1121.5
    with pytest.raises(InputError, match=r"expected (text|a number), found") as caught:
        mixed.predict([ROW, row])
    assert (caught.value.row, caught.value.column) == (1, column)


def test_a_number_is_read_without_its_overridden_methods(mixed: Model) -> None:
    lying = np.array(1.5).view(RaisingItem)
    assert mixed.predict_one({**ROW, "height": lying}) == mixed.predict_one(ROW)
    hidden = np.ma.masked_array(0.0, mask=True).view(RaisingMask)
    for predict in (mixed.predict_one, lambda row: mixed.predict([row])):
        with pytest.raises(InputError) as caught:
            predict({**ROW, "children": hidden})
        assert caught.value.column == "children"


@pytest.mark.parametrize("number", [10**30000, -(10**30000)], ids=["+", "-"])
def test_an_integer_too_long_to_print_is_refused(mixed: Model, number: int) -> None:
    for column in ("street", "children"):
        for predict in (mixed.predict_one, lambda row: mixed.predict([row])):
            with pytest.raises(InputError, match="integer of more than 3,000 digits") as caught:
                predict({**ROW, column: number})
            assert caught.value.column == column


@pytest.mark.parametrize("cell", [complex("nan"), np.complex128("nan"), np.complex64("nan")])
def test_a_complex_nan_is_not_a_missing_value(mixed: Model, cell: Any) -> None:
    for column in ("height", "city"):
        for predict in (mixed.predict_one, lambda row: mixed.predict([row])):
            with pytest.raises(InputError, match="complex") as caught:
                predict({**ROW, column: cell})
            assert caught.value.column == column


class RaisingName:
    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        raise StrangeError


def test_a_name_that_cannot_be_compared_is_refused(classifier: Model) -> None:
    row: Any = {RaisingName("x0"): 1.0, "x1": 2.0, "x2": 3.0}
    for predict in (classifier.predict_one, lambda row: classifier.predict([row])):
        with pytest.raises(InputError):
            predict(row)


def test_an_error_without_text_is_named_by_its_type(classifier: Model) -> None:
    class Table(list[Any]):
        def __len__(self) -> int:
            raise StrangeError

    with pytest.raises(InputError, match="Table cannot be read as a table: StrangeError;"):
        classifier.predict(Table([[1.0, 2.0, 3.0]]))

    class Row(collections.UserDict[str, float]):
        def __iter__(self) -> Any:
            raise StrangeError

    with pytest.raises(InputError, match="Row cannot be read as a row: StrangeError;"):
        classifier.predict_one(Row(x0=1.0, x1=2.0, x2=3.0))


@pytest.mark.parametrize("extra", ["refuse", "ignore"])
@pytest.mark.parametrize(
    "row",
    [
        collections.defaultdict(float, x0=1.0, x1=2.0),
        collections.defaultdict(float, x0=1.0, x1=2.0, y=3.0),
        collections.Counter(x0=1, x1=2),
        collections.ChainMap(collections.defaultdict(float, x0=1.0, x1=2.0)),
    ],
)
def test_a_column_that_a_defaultdict_would_invent_is_missing(
    healthy_bundle: bytes, row: Any, extra: Any
) -> None:
    before = dict(row)
    with edge_runtime.load(healthy_bundle, extra_columns=extra) as model:
        for predict in (model.predict_one, lambda row: model.predict([row])):
            with pytest.raises(InputError, match="column missing") as caught:
                predict(row)
            assert caught.value.column == "x2"
    assert dict(row) == before


class Pairs(collections.UserDict[str, float]):
    """Lists one of its names twice, as a multidict does."""

    def __iter__(self) -> Any:
        return iter([*self.data, "x0"])

    def __len__(self) -> int:
        return len(self.data) + 1


def test_a_row_that_lists_a_name_twice_is_refused(classifier: Model) -> None:
    row = Pairs(x0=1.0, x1=2.0, x2=3.0)
    for predict in (classifier.predict_one, lambda row: classifier.predict([row])):
        with pytest.raises(InputError, match="'x0' appears twice"):
            predict(row)


class Changing:
    """A cell that changes its row when it is read, as another thread might."""

    def __init__(self, change: Callable[[], Any]) -> None:
        self.change = change

    def __float__(self) -> float:
        self.change()
        return 0.0

    def __ne__(self, other: object) -> bool:
        self.change()
        return True  # missing

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("change", ["clear", "append", "infinity", "text"])
def test_a_row_that_changes_while_read_is_predicted_as_it_was(mixed: Model, change: str) -> None:
    def change_row() -> None:
        if change == "clear":
            row.clear()
        elif change == "append":
            row.append(1.0)
        else:
            row[1:] = ["Paris", np.inf if change == "infinity" else "2", True, "Rue A"]

    cells: list[Any] = [NotAvailable(), "Paris", 2, True, "Rue A"]
    row = cells.copy()
    expected = mixed.predict_one(cells)
    row[0] = Changing(change_row)
    assert mixed.predict_one(row) == expected
    assert row[1:] != cells[1:]


def test_a_list_is_predicted_in_one_of_its_states(classifier: Model) -> None:
    """Another thread changes the list while predict_one reads it."""
    states: list[list[Any]] = [
        [1.0, 2.0, 3.0],
        [4.0, 0.0, -2.0],
        [1.0, np.inf, 3.0],
        [1.0],
        ["a"] * 3,
    ]
    expected = {*labels(states[:2])}
    row = states[0].copy()
    finished = threading.Event()

    def change() -> None:
        while not finished.is_set():
            for state in states:
                row[:] = state

    thread = threading.Thread(target=change)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(4000):
            try:
                assert classifier.predict_one(row) in expected
            except InputError:
                continue
    finally:
        finished.set()
        thread.join()
        sys.setswitchinterval(interval)
