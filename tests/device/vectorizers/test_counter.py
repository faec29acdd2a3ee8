"""Text, dicts and lists become counts on the device."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from device.models import Parts, manifest
from device.tiny_onnx import Graph
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.errors import InputError, IntegrityError
from edge_runtime.inputs.derived_columns import MAX_CELLS_AT_ONCE
from edge_runtime.vectorizers.counter import MAX_ITEMS, MAX_TEXT_CHARACTERS, counter, murmur3_32
from edge_runtime.vectorizers.specification import (
    Characters,
    Derived,
    Entries,
    Hashing,
    Items,
    Pairs,
    Reading,
    Vocabulary,
    Words,
)

import edge_runtime

WORD = r"(?u)\b\w\w+\b"


def count_terms(reading: Reading, terms: tuple[Any, ...], cell: Any, **options: Any) -> list[float]:
    """Count each of *terms* in *cell*."""
    counts = counter(Derived("c", reading, Vocabulary(terms), **options))(cell)
    return [counts.get(i, 0.0) for i in range(len(terms))]


def words(**changes: Any) -> Words:
    return replace(Words(WORD, True, "keep", (1, 1)), **changes)


@pytest.mark.parametrize(
    ("reading", "text", "terms", "counts"),
    [
        (words(), "Öl, öl and OIL: café", ("öl", "café", "o"), [2, 1, 0]),
        (words(lowercase=False), "Öl öl", ("öl", "Öl"), [1, 1]),
        (words(accents="unicode"), "café cafe\u0301 ÖL", ("cafe", "ol"), [2, 1]),
        (words(accents="ascii"), "café 東京", ("cafe", "東京"), [1, 0]),
        (words(ngram_range=(1, 2)), "two words here", ("two words", "here", "two"), [1, 1, 1]),
        (words(ngram_range=(2, 9)), "one", ("one",), [0]),
        (words(stop_words=("the",), ngram_range=(2, 2)), "on the mat", ("on mat",), [1]),
        (words(pattern=r"(\d)\d"), "12 34 5", ("1", "3", "5"), [1, 1, 0]),
        (words(), "", ("x",), [0]),
        (Characters(False, True, "keep", (1, 2)), "Aa  b", ("a", "aa", " ", "a "), [2, 1, 1, 1]),
        (Characters(True, True, "keep", (2, 3)), "ab", (" a", "ab", "b ", " ab"), [1, 1, 1, 1]),
        # A word shorter than the run counts once, padded.
        (Characters(True, True, "keep", (5, 7)), "ab c", (" ab ", " c "), [1, 1]),
    ],
)
def test_text_is_split_as_python_does(
    reading: Reading, text: str, terms: tuple[str, ...], counts: list[float]
) -> None:
    assert count_terms(reading, terms, text) == counts


@pytest.mark.parametrize(
    ("reading", "cell", "terms", "counts"),
    [
        (Entries("=", True), {"a": 2.5, "b": "x", "c": True}, ("a", "b=x", "c"), [2.5, 1, 1]),
        (Entries(": ", True), {"b": ["x", "y", "x"]}, ("b: x", "b: y"), [2, 1]),
        (Pairs("="), [("a", 1), ["a", 2], ("b", "x")], ("a", "b=x"), [3, 1]),
        (Items(), ["x", "x", 3], ("x", 3, "3"), [2, 1, 0]),
        (Items(), {"x"}, ("x",), [1]),
        (Items(), np.array([3, 4]), (3,), [1]),
        (Items(), [], ("x",), [0]),
    ],
)
def test_entries_and_items_are_counted_as_features(
    reading: Reading, cell: Any, terms: tuple[Any, ...], counts: list[float]
) -> None:
    assert count_terms(reading, terms, cell) == counts


def test_counts_are_divided_by_their_sum_or_their_length() -> None:
    text = "cat cat cat dog dog dog dog"
    assert count_terms(words(), ("cat", "dog"), text, norm="l2") == [3 / 5, 4 / 5]
    assert count_terms(words(), ("cat", "dog"), text, norm="l1") == [3 / 7, 4 / 7]
    assert count_terms(words(), ("emu",), text, norm="l2") == [0.0]


def test_none_in_a_dict_is_nan_and_binary_counts_once() -> None:
    assert np.isnan(count_terms(Entries("=", True), ("a",), {"a": None})[0])
    assert count_terms(words(), ("cat",), "cat cat", binary=True) == [1.0]


@pytest.mark.parametrize(
    ("reading", "cell", "fault"),
    [
        (words(), 3, "expected a text"),
        (words(), "x" * (MAX_TEXT_CHARACTERS + 1), "at most"),
        (Entries("=", True), ["a"], "expected a dict"),
        (Entries("=", True), {1: 2}, "names that are str"),
        (Entries("=", True), {"a": {}}, "expected a number or a str"),
        (Entries("=", True), {"a": [1]}, "list of str"),
        (Entries("=", False), {"a": None}, "expected a number or a str"),
        (Entries("=", False), {"a": 10**400}, "too large"),
        (Pairs("="), [("a",)], "pairs"),
        (Items(), "abc", "expected a list"),
        (Items(), [["a"]], "list of labels"),
        (Items(), range(3), "expected a list"),
        (Items(), [0] * (MAX_ITEMS + 1), "at most"),
    ],
)
def test_a_cell_that_cannot_be_read_is_refused(reading: Reading, cell: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        counter(Derived("c", reading, Vocabulary(("a",))))(cell)


def test_the_hash_is_murmurhash3() -> None:
    # Values of the reference implementation, seed 0.
    assert murmur3_32(b"") == 0
    assert murmur3_32(b"foo") == -156908512
    assert murmur3_32(b"hello, world") == 345750399


def test_a_hashed_feature_counts_with_the_sign_of_its_hash() -> None:
    counts = counter(Derived("c", Items(), Hashing(7, True)))(["foo", "foo"])
    assert counts == {156908512 % 7: -2.0}
    counts = counter(Derived("c", Items(), Hashing(7, False)))(["foo"])
    assert counts == {156908512 % 7: 1.0}
    with pytest.raises(ValueError, match="list of str"):
        counter(Derived("c", Items(), Hashing(7, True)))([3])


BLOCKS = (
    Derived("text", words(stop_words=("a", "b"), accents="ascii"), Vocabulary(("xx", "yy"))),
    Derived("text", Characters(True, False, "unicode", (1, 3)), Hashing(5, True), True, "l1"),
    Derived("dict", Entries("=", True), Vocabulary(("k", "k=v"))),
    Derived("list", Pairs(":"), Hashing(3, False)),
    Derived("list", Items(), Vocabulary((1, "1", 2.5))),
)
COLUMNS = (
    Column("text", "string"),
    Column("n", "float64", missing=True),
    Column("dict", "dict"),
    Column("list", "list"),
)


def test_a_schema_with_derived_blocks_reads_back_equal() -> None:
    schema = Schema("table", COLUMNS, BLOCKS)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert schema.numbers_width == 1 + 2 + 5 + 2 + 3 + 3


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("derived", 0, "column"), "nobody"),
        (("derived", 0, "column"), "dict"),
        (("derived", 0, "reading", "kind"), "tarot"),
        (("derived", 0, "reading", "pattern"), 3),
        (("derived", 0, "reading", "ngram_range"), [2, 1]),
        (("derived", 0, "reading", "ngram_range"), [1, 10**9]),
        (("derived", 0, "reading", "accents"), "none"),
        (("derived", 0, "placing", "terms"), []),
        (("derived", 0, "placing", "terms"), ["x", "x"]),
        (("derived", 0, "placing", "terms"), [["x"]]),
        (("derived", 1, "placing", "width"), 0),
        (("derived", 1, "placing", "width"), 10**12),
        (("derived", 1, "binary"), 1),
        (("derived", 1, "norm"), "l3"),
        (("derived", 2, "reading", "lenient"), None),
        (("derived", 4, "reading"), {"kind": "items", "more": 1}),
        (("kind",), "dicts"),
    ],
)
def test_an_invalid_block_is_refused(path: tuple[Any, ...], value: Any) -> None:
    schema = json.loads(json.dumps(Schema("table", COLUMNS, BLOCKS).to_json()))
    *parents, field = path
    parent = schema
    for key in parents:
        parent = parent[key]
    parent[field] = value
    with pytest.raises(IntegrityError):
        Schema.from_json(schema)


def test_an_invalid_pattern_is_refused_at_load() -> None:
    parts = text_model()
    for pattern in ("(", "(a)(b)"):
        block = Derived("text", words(pattern=pattern), Vocabulary(("a", "b")))
        schema = replace(parts.manifest.schema, derived=(block,))
        with pytest.raises(IntegrityError, match=r"regular expression|more than one group"):
            edge_runtime.load(parts.sealed(schema=schema))


def sums(schema: Schema, rows: list[Any], answers: list[float]) -> Parts:
    """Return a model that adds all numbers of a row."""
    graph = Graph(
        [("numbers", "float64", [None, schema.numbers_width])],
        [("predict", "float64", [None])],
        {"ones": np.ones(schema.numbers_width)},
    )
    graph.node("MatMul", ["numbers", "ones"], "predict")
    return Parts(
        graph.to_bytes(),
        manifest(schema, [("predict", "float64", None)], rows, {"predict": answers}),
    )


def text_model() -> Parts:
    block = Derived("text", words(), Vocabulary(("cat", "dog")))
    schema = Schema("text", (Column("text", "string"),), (block,))
    return sums(schema, [["cat dog cat"], ["emu"]], [3.0, 0.0])


def test_texts_are_predicted_in_batches_and_one_by_one() -> None:
    with edge_runtime.load(text_model().sealed()) as model:
        texts = ["a cat", "", "dog, dog!", "cat dog cat"]
        assert model.predict(texts).tolist() == [1, 0, 2, 3]
        assert model.predict(np.array(texts, dtype=object)).tolist() == [1, 0, 2, 3]
        assert model.predict({"text": texts}).tolist() == [1, 0, 2, 3]
        assert [model.predict_one(text) for text in texts] == [1, 0, 2, 3]
        assert model.predict([]).shape == (0,)
        many = texts * 3000
        assert model.predict(many).tolist() == [1, 0, 2, 3] * 3000


def test_a_refused_row_does_not_change_the_next_prediction() -> None:
    with edge_runtime.load(text_model().sealed()) as model:
        assert model.predict_one("cat cat cat") == 3
        for bad in (None, 3, "x" * (MAX_TEXT_CHARACTERS + 1)):
            with pytest.raises(InputError):
                model.predict_one(bad)
        assert model.predict_one("dog") == 1


def test_errors_in_sliced_batches_name_the_callers_row() -> None:
    """A wide block is computed for a few rows at a time; errors still count from the first row."""
    width = MAX_CELLS_AT_ONCE // 4
    block = Derived("text", words(), Hashing(width, False))
    parts = sums(Schema("text", (Column("text", "string"),), (block,)), [["one two"]], [2.0])
    with edge_runtime.load(parts.sealed()) as model:
        texts = ["word " * i for i in range(12)]
        assert model.predict(texts).tolist() == list(range(12))
        texts[10] = "x" * (MAX_TEXT_CHARACTERS + 1)
        with pytest.raises(InputError, match="row 10, column 'text'"):
            model.predict(texts)


@pytest.mark.parametrize(
    ("kind", "type_", "block", "rows", "bad"),
    [
        (
            "dicts",
            "dict",
            Derived("row", Entries("=", True), Vocabulary(("a", "b=x"))),
            [{"a": 2.0}, {"b": "x", "other": 1}, {}],
            [["a"], 3, None, {"a": {}}],
        ),
        (
            "lists",
            "list",
            Derived("row", Items(), Vocabulary(("a", "b"))),
            [["a", "a"], ["b"], []],
            ["ab", {"a": 1}, None, [["a"]]],
        ),
    ],
)
def test_dicts_and_lists_are_rows(
    kind: Any, type_: Any, block: Derived, rows: list[Any], bad: list[Any]
) -> None:
    parts = sums(Schema(kind, (Column("row", type_),), (block,)), [[r] for r in rows], [2, 1, 0])
    with edge_runtime.load(parts.sealed()) as model:
        cells = np.empty(3, dtype=object)
        cells[:] = rows
        for X in (rows, tuple(rows), cells, {"row": rows}):
            assert model.predict(X).tolist() == [2, 1, 0]
        assert [model.predict_one(row) for row in rows] == [2, 1, 0]
        assert model.predict_one(rows[2]) == 0  # the rows before leave no counts
        for cell in bad:
            with pytest.raises(InputError, match="row 1, column 'row'"):
                model.predict([rows[0], cell])
            with pytest.raises(InputError, match="column 'row'"):
                model.predict_one(cell)


class RaisingDict(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class RaisingLabel(str):
    def __hash__(self) -> int:
        raise RuntimeError("no hash")


@pytest.mark.parametrize(
    ("kind", "type_", "reading", "good", "bad"),
    [
        ("dicts", "dict", Entries("=", True), {"a": 2.0}, RaisingDict(a=1.0)),
        ("lists", "list", Items(), ["a", "a"], [RaisingLabel("a")]),
    ],
)
def test_an_exception_from_a_foreign_object_is_an_input_error(
    kind: Any, type_: Any, reading: Reading, good: Any, bad: Any
) -> None:
    schema = Schema(kind, (Column("c", type_),), (Derived("c", reading, Vocabulary(("a",))),))
    with edge_runtime.load(sums(schema, [[good]], [2.0]).sealed()) as model:
        with pytest.raises(InputError, match=r"column 'c': the \w+ cannot be read: RuntimeError"):
            model.predict_one(bad)
        with pytest.raises(InputError, match="row 1, column 'c'"):
            model.predict([good, bad])
        assert model.predict_one(good) == 2.0


def test_a_table_mixes_numeric_and_derived_columns() -> None:
    schema = Schema("table", COLUMNS, (BLOCKS[0], BLOCKS[2], BLOCKS[4]))
    rows = [["xx yy XX", 1.5, {"k": 1}, [1]], ["", None, {"k": "v"}, []]]
    dicts = [dict(zip(schema.names, row, strict=True)) for row in rows]
    with edge_runtime.load(sums(schema, rows, [6.5, "nan"]).sealed()) as model:
        columns = {name: [row[name] for row in dicts] for name in schema.names}
        for X in (rows, dicts, columns):
            np.testing.assert_array_equal(model.predict(X), [6.5, np.nan])
        assert model.predict_one(dicts[0]) == model.predict_one(rows[0]) == 6.5
        with pytest.raises(InputError, match="row 1, column 'dict'"):
            model.predict([dicts[0], {**dicts[1], "dict": "k"}])
