"""What stands in for dataclasses and json at a start behaves as they do."""

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
    """As Output, by the standard library."""

    name: str
    method: str
    dtype: str
    item: int | None = None


FULL = ("predict", "predict", "float64", 3)


@pytest.mark.parametrize("values", [FULL, FULL[:3]])
def test_a_record_is_made_shown_compared_and_hashed_as_a_dataclass(values: tuple[Any, ...]) -> None:
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
    ("values", "named"),
    [
        (FULL[:2], {}),
        ((*FULL, 1), {}),
        (FULL, {"name": "x"}),
        (FULL[:3], {"place": 1}),
        ((), {"name": "x"}),
    ],
)
def test_a_record_takes_what_a_dataclass_takes(
    values: tuple[Any, ...], named: dict[str, Any]
) -> None:
    for kind in (Output, Twin):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_a_record_is_frozen_and_keeps_nothing_else() -> None:
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
def test_a_record_is_copied_and_pickled(item: Any) -> None:
    assert copy.copy(item) == copy.deepcopy(item) == pickle.loads(pickle.dumps(item)) == item


def test_a_default_that_is_made_is_made_for_each() -> None:
    from edge_runtime.records import field

    @record(frozen=True)
    class Holder:
        held: dict[str, int] = field(default_factory=dict)

    one, other = Holder(), Holder()
    one.held["a"] = 1
    assert (one.held, other.held) == ({"a": 1}, {})


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
def test_the_scanner_alone_reads_and_refuses_what_json_does(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> Any:
        try:
            return read_json(text.encode("utf-8", "surrogatepass"), what="it")
        except IntegrityError as error:
            return str(error)

    quick = read()
    monkeypatch.setitem(sys.modules, "_json", None)  # as where Python has none
    assert read() == quick
    if not isinstance(quick, str):
        assert quick == json.loads(text)
