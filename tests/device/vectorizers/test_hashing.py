"""A block of hashed features may contain only some of the hashed columns."""

import json
from typing import Any

import pytest
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.errors import IntegrityError
from edge_runtime.vectorizers.counter import counter
from edge_runtime.vectorizers.specification import Derived, Hashing, Items, Norm

WIDTH = 1000
# Columns of "foo" and of "bar" (MurmurHash3 of the reference implementation, seed 0).
FOO, BAR = 156908512 % WIDTH, 1158584717 % WIDTH


def block(*columns: int, norm: Norm = "none") -> Derived:
    return Derived("list", Items(), Hashing(WIDTH, False, tuple(sorted(columns))), norm=norm)


def test_kept_columns_are_renumbered_and_others_ignored() -> None:
    cell = ["foo", "bar", "foo"]
    assert counter(block())(cell) == {FOO: 2.0, BAR: 1.0}
    assert counter(block(FOO))(cell) == {0: 2.0}
    assert counter(block(3, FOO, 999))(cell) == {1: 2.0}
    assert counter(block(3))(cell) == {}


def test_the_norm_covers_all_hashed_columns() -> None:
    assert counter(block(FOO, norm="l1"))(["foo", "bar", "bar", "bar"]) == {0: 0.25}


def test_a_block_has_the_width_of_its_kept_columns() -> None:
    for derived, width in ((block(), WIDTH), (block(FOO, BAR), 2)):
        schema = Schema("lists", (Column("list", "list"),), (derived,))
        assert schema.numbers_width == width
        assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert "kept" not in block().to_json()["placing"]


@pytest.mark.parametrize(
    "columns", [[3, 3], [4, 2], [-1], [WIDTH], [True], [1.0], ["1"], 3, None, {"1": 2}]
)
def test_invalid_kept_columns_are_refused(columns: Any) -> None:
    value = block().to_json()
    value["placing"]["kept"] = columns
    with pytest.raises(IntegrityError, match="hashing"):
        Derived.from_json(json.loads(json.dumps(value)))


def test_an_unknown_field_is_refused() -> None:
    value = block().to_json()
    value["placing"]["keeps"] = [1]
    with pytest.raises(IntegrityError, match="hashing"):
        Derived.from_json(value)
