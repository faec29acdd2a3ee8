"""Objects of a caller's own classes: InputError or the right answer, never their own exceptions."""

import collections
import ctypes
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from device import models
from device.models import labels
from edge_runtime.model import Model

import edge_runtime
from edge_runtime import InputError

ROW = [4.0, 0.0, -2.0]


@pytest.fixture(scope="module", params=["array", "table"])
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    with edge_runtime.load(models.classifier(kind=request.param).sealed()) as loaded:
        yield loaded


class RaisingSequence(Sequence[Any]):
    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __getitem__(self, place: Any) -> Any:
        raise RuntimeError("no item")


class ShortSequence(Sequence[Any]):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, place: Any) -> Any:
        raise IndexError(place)


class RaisingMapping(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        raise RuntimeError("no value")

    def __iter__(self) -> Iterator[str]:
        return iter(["x0", "x1", "x2"])

    def __len__(self) -> int:
        return 3


class RaisingArray:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no array")


class RaisingFrame:
    columns = ("x0", "x1", "x2")

    def to_numpy(self) -> Any:
        raise RuntimeError("no numpy")

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)


class FrameWithoutColumns(RaisingFrame):
    columns = None  # type: ignore[assignment]


class DictOfItself:
    def to_dict(self) -> Any:
        return self


class RaisingSubclass(np.ndarray):
    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no ufunc")

    def __array_function__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no function")


STRANGERS = [
    *(RaisingSequence(), ShortSequence(), RaisingMapping(), RaisingArray(), RaisingFrame()),
    *(FrameWithoutColumns(), DictOfItself(), types.SimpleNamespace(x0=1), object, len, np),
]


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda s: type(s).__name__)
def test_what_a_stranger_raises_is_an_input_error(model: Model, stranger: Any) -> None:
    for _ in range(3):
        for ask in (model.predict, model.predict_one):
            for inputs in (stranger, [stranger], [stranger, 1.0, 2.0], {"x0": stranger}):
                with pytest.raises(InputError):
                    ask(inputs)


SAME = {
    "array subclass": lambda: np.array(ROW).view(RaisingSubclass),
    "memory view": lambda: memoryview(np.array(ROW)),
    "ctypes": lambda: list((ctypes.c_double * 3)(*ROW)),
    "deque": lambda: collections.deque(ROW),
    "user list": lambda: collections.UserList(ROW),
    "named tuple": lambda: collections.namedtuple("Row", "x0 x1 x2")(*ROW),
    "user dict": lambda: collections.UserDict(x2=ROW[2], x0=ROW[0], x1=ROW[1]),
    "chain map": lambda: collections.ChainMap({"x2": -2.0}, {"x0": 4.0, "x1": 0.0}),
    "read-only dict": lambda: types.MappingProxyType({"x1": 0.0, "x0": 4.0, "x2": -2.0}),
    "default dict": lambda: collections.defaultdict(float, {"x1": 0.0, "x0": 4.0, "x2": -2.0}),
    "ordered dict": lambda: collections.OrderedDict(x1=0.0, x0=4.0, x2=-2.0),
}


@pytest.mark.parametrize("name", SAME)
def test_a_row_of_any_kind_is_the_row(model: Model, name: str) -> None:
    expected = labels([ROW])[0]
    for _ in range(3):
        assert model.predict_one(SAME[name]()) == expected


def test_a_memory_view_is_the_array_that_it_shows(model: Model) -> None:
    X = np.array([ROW, [1.0, 2.0, 3.0]])
    assert model.predict(memoryview(X)).tolist() == labels(X).tolist()  # type: ignore[union-attr]


class Seven(float):
    def __float__(self) -> float:
        return 99.0


class Liar(int):
    def __float__(self) -> float:
        return 5.0

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def test_a_number_counts_as_what_it_is_not_as_what_it_says(model: Model) -> None:
    expected = labels([ROW])[0]
    row = [Seven(4.0), Liar(0), Liar(-2)]
    assert model.predict([row]).tolist() == [expected]  # type: ignore[union-attr]
    assert model.predict_one(row) == expected
    for ask in (model.predict_one, lambda r: model.predict([r])):
        with pytest.raises(InputError, match="no exact float64"):
            ask([1.0, Liar(2**53 + 1), 2.0])
        with pytest.raises(InputError, match="more than 3,000 digits"):
            ask([1.0, 10**5000, 2.0])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_table_for_one_row_says_what_to_call(model: Model, library: str) -> None:
    package = pytest.importorskip(library)
    columns = {"x0": [1.0], "x1": [2.0], "x2": [3.0]}
    table = package.table(columns) if library == "pyarrow" else package.DataFrame(columns)
    with pytest.raises(InputError, match="expected one row of 3 cells, found a table"):
        model.predict_one(table)


def test_a_frame_that_is_not_computed_yet_says_what_to_call(model: Model) -> None:
    polars = pytest.importorskip("polars")
    with pytest.raises(InputError, match=r"LazyFrame; pass X.collect\(\)"):
        model.predict(polars.LazyFrame({"x0": [1.0]}))
