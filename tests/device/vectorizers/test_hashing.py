"""A block of hashed features may have a few of the columns that features are hashed to."""

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


def block(*kept: int, norm: Norm = "none") -> Derived:
    return Derived("list", Items(), Hashing(WIDTH, False, tuple(sorted(kept))), norm=norm)


def test_kept_columns_are_numbered_anew_and_others_count_nowhere() -> None:
    cell = ["foo", "bar", "foo"]
    assert counter(block())(cell) == {FOO: 2.0, BAR: 1.0}
    assert counter(block(FOO))(cell) == {0: 2.0}
    assert counter(block(3, FOO, 999))(cell) == {1: 2.0}
    assert counter(block(3))(cell) == {}


def test_a_row_is_divided_by_all_that_counted_not_only_by_what_is_kept() -> None:
    assert counter(block(FOO, norm="l1"))(["foo", "bar", "bar", "bar"]) == {0: 0.25}


def test_a_block_is_as_wide_as_what_it_keeps_and_reads_back_equal() -> None:
    for made, width in ((block(), WIDTH), (block(FOO, BAR), 2)):
        schema = Schema("lists", (Column("list", "list"),), (made,))
        assert schema.numbers_width == width
        assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert "kept" not in block().to_json()["placing"]


@pytest.mark.parametrize(
    "kept", [[3, 3], [4, 2], [-1], [WIDTH], [True], [1.0], ["1"], 3, None, {"1": 2}]
)
def test_columns_that_are_none_or_out_of_order_are_refused(kept: Any) -> None:
    told = block().to_json()
    told["placing"]["kept"] = kept
    with pytest.raises(IntegrityError, match="hashing"):
        Derived.from_json(json.loads(json.dumps(told)))


def test_a_field_that_no_reader_knows_is_refused() -> None:
    told = block().to_json()
    told["placing"]["keeps"] = [1]
    with pytest.raises(IntegrityError, match="hashing"):
        Derived.from_json(told)
