"""Records behave like dataclasses, and the JSON scanner like the module json."""

import copy
import dataclasses
import json
import pickle
import sys
from typing import Any

import pytest
from edge_runtime.bundle.json_reader import read_json
from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.records import record

from edge_runtime import IntegrityError


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """The same fields as Output, in a dataclass."""

    name: str
    method: str
    dtype: str
    item: int | None = None


FULL = ("predict", "predict", "float64", 3)


@pytest.mark.parametrize("values", [FULL, FULL[:3]])
def test_a_record_behaves_like_a_dataclass(values: tuple[Any, ...]) -> None:
    ours, theirs = Output(*values), Twin(*values)
    assert repr(ours) == repr(theirs).replace("Twin", "Output")
    assert ours == Output(**dataclasses.asdict(ours))
    assert hash(ours) == hash(Output(*values))
    assert ours != dataclasses.replace(ours, item=9)
    assert ours != theirs
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)  # type: ignore[call-overload]
    assert [f.name for f in dataclasses.fields(ours)] == [
        f.name for f in dataclasses.fields(theirs)
    ]
    assert dataclasses.is_dataclass(Output)
    assert Output.__match_args__ == Twin.__match_args__


@pytest.mark.parametrize(
    ("values", "keywords"),
    [
        (FULL[:2], {}),
        ((*FULL, 1), {}),
        (FULL, {"name": "x"}),
        (FULL[:3], {"place": 1}),
        ((), {"name": "x"}),
    ],
)
def test_a_record_refuses_the_arguments_that_a_dataclass_refuses(
    values: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    for kind in (Output, Twin):
        with pytest.raises(TypeError):
            kind(*values, **keywords)


def test_a_record_is_frozen_and_has_no_other_attributes() -> None:
    schema = Schema("array", (Column("a", "float64"),))
    for item in (Output(*FULL), schema):
        for name in ("name", "kind", "new"):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(item, name, 1)
            with pytest.raises(dataclasses.FrozenInstanceError):
                delattr(item, name)
    assert not hasattr(Output(*FULL), "__dict__")
    assert schema.names == ("a",)  # cached beside the fields
    assert schema == Schema("array", (Column("a", "float64"),))


@pytest.mark.parametrize(
    "item",
    [Output(*FULL), Schema("table", (Column("a", "string", categories=("x",)),))],
    ids=["slots", "dict"],
)
def test_a_record_can_be_copied_and_pickled(item: Any) -> None:
    assert copy.copy(item) == copy.deepcopy(item) == pickle.loads(pickle.dumps(item)) == item


def test_a_default_factory_runs_for_each_record() -> None:
    from edge_runtime.records import field

    @record(frozen=True)
    class Holder:
        counts: dict[str, int] = field(default_factory=dict)

    first, second = Holder(), Holder()
    first.counts["a"] = 1
    assert (first.counts, second.counts) == ({"a": 1}, {})


TEXTS = [
    '{"a":[1,2.5,-3e-7,true,false,null,"é\\u0001"],"b":{"c":""}}',
    "[]",
    '"text"',
    "17",
    '{"a":1}x',
    '{"a":1,"a":2}',
    '{"a":}',
    "[1,]",
    "",
    "[NaN]",
    "[1e999]",
    "[123456789012345678901234567890]",
    '["\\ud800"]',
    "[0.00012345678901234567,12345678901234567890]",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_scanner_reads_and_refuses_what_json_does(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> Any:
        try:
            return read_json(text.encode("utf-8", "surrogatepass"), name="it")
        except IntegrityError as error:
            return str(error)

    by_scanner = read()
    monkeypatch.setitem(sys.modules, "_json", None)  # as on a Python without the scanner
    assert read() == by_scanner
    if not isinstance(by_scanner, str):
        assert by_scanner == json.loads(text)
