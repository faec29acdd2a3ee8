"""Test which cells a column takes, and the message for the others."""

import datetime
import decimal
import fractions
from typing import Any

import numpy as np
import pytest
from device import models
from device.tables import ROW, Frame, NotAvailable
from edge_runtime.bundle.schema import MISSING_STRING, STRINGS
from edge_runtime.inputs.tables import InputReader

from edge_runtime import InputError, Model

X = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [4.0, 0.0, -2.0], [0.1, 0.2, 0.3]])
# Cells that no numeric column takes, with words of the refusal.
NO_NUMBERS: list[tuple[Any, str]] = [
    ("1.5", "expected a number, found the text '1.5'"),
    (np.str_("1.5"), "found the text '1.5'"),
    ("", "found the text ''"),
    (b"1.5", "bytes"),
    (np.bytes_(b"1"), "bytes"),
    (1 + 2j, "complex"),
    (np.complex128(1), "complex"),
    (np.inf, "expected a finite number, found inf"),
    (-np.inf, "found -inf"),
    (np.float32("inf"), "found inf"),
    (np.nan, "missing value"),
    (None, "missing value"),
    (NotAvailable(), "missing value"),
    (2**53 + 1, "9007199254740993 is no exact float64"),
    (np.int64(2**53 + 1), "no exact float64"),
    (np.uint64(2**64 - 1), "no exact float64"),
    (10**400, "no exact float64"),
    (-(2**63) - 1, "no exact float64"),
    (datetime.date(2026, 1, 1), "type date"),
    (np.datetime64("2026-01-01"), "datetime64"),
    (np.timedelta64(1, "s"), "timedelta64"),
    (np.longdouble("1.1"), "longdouble|float128"),
    (decimal.Decimal("0.1"), "type Decimal"),
    (fractions.Fraction(1, 3), "type Fraction"),
    ([1.0], "a list of 1"),
    ({}, "a dict of 0"),
    (np.zeros(1), "an array of shape"),
    (object(), "type object"),
]


def as_object_column(cells: list[Any]) -> Any:
    column = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        column[i] = cell
    return column


@pytest.mark.parametrize(("cell", "words"), NO_NUMBERS)
def test_a_non_number_is_refused_with_row_and_column(
    classifier: Model, cell: Any, words: str
) -> None:
    good = [0.5, 1.5, 2.5]
    table: Any
    for table in (
        [good, [0.5, cell, 2.5]],
        {"x0": [0.5, 0.5], "x1": [1.5, cell], "x2": [2.5, 2.5]},
        {"x0": [0.5, 0.5], "x1": as_object_column([1.5, cell]), "x2": [2.5, 2.5]},
        [{"x0": 0.5, "x1": 1.5, "x2": 2.5}, {"x0": 0.5, "x1": cell, "x2": 2.5}],
    ):
        with pytest.raises(InputError, match=words) as caught:
            classifier.predict(table)
        assert (caught.value.row, caught.value.column) == (1, "x1")
    row: Any
    for row in ([0.5, cell, 2.5], (0.5, cell, 2.5), {"x0": 0.5, "x1": cell, "x2": 2.5}):
        with pytest.raises(InputError, match=words) as caught:
            classifier.predict_one(row)
        assert (caught.value.row, caught.value.column) == (None, "x1")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (np.array(["1", "2"]), "expected numbers, found text"),
        (np.array([b"1", b"2"]), "found bytes"),
        (np.array([1j, 2j]), "found complex"),
        (np.array(["2026-01-01", "2026-01-02"], dtype="M8[D]"), "found dates"),
        (np.array([1, 2], dtype="m8[s]"), "found time spans"),
        (np.array([1, 2], dtype=np.longdouble), "extended-precision"),
        (np.zeros(2, dtype=[("a", "f8")]), "found records"),
    ],
)
def test_a_column_of_another_dtype_is_refused(classifier: Model, column: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        classifier.predict({"x0": [0.5, 0.5], "x1": column, "x2": [2.5, 2.5]})
    assert caught.value.column == "x1"
    if column.dtype.kind != "V":
        with pytest.raises(InputError, match=words):
            classifier.predict(np.stack([column] * 3, axis=1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_cell_of_an_array_is_named(classifier: Model, bad: float) -> None:
    spoilt = np.tile(X, (500, 1))
    spoilt[1234, 2] = bad
    spoilt[1999, 0] = bad
    with pytest.raises(InputError) as caught:
        classifier.predict(spoilt)
    assert (caught.value.row, caught.value.column) == (1234, "x2")


def test_integers_beyond_float64_are_found_in_an_array(classifier: Model) -> None:
    whole = np.full((4, 3), 2**53)
    classifier.predict(whole)
    whole[2, 1] += 1
    with pytest.raises(InputError, match="no exact float64") as caught:
        classifier.predict(whole)
    assert (caught.value.row, caught.value.column) == (2, "x1")


def test_large_numbers_are_taken_when_float64_holds_them(classifier: Model) -> None:
    row = [1e300, float(2**60), 2**70]
    expected = models.scores([row])[0].tolist()
    assert classifier.decision_function([row]).tolist() == [expected]  # type: ignore[union-attr]
    assert classifier.predict_one(row) == models.labels([row])[0]
    assert classifier.predict_one(np.array(row, float)) == models.labels([row])[0]


MISSING: list[Any] = [None, np.nan, np.float32("nan"), NotAvailable(), np.ma.masked]


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_cell_is_taken_where_training_saw_one(mixed: Model, missing: Any) -> None:
    expected = models.mixed_answer([(None, None, 2, True, "Rue A")])[0]
    row = dict(ROW, height=missing, city=missing)
    columns = {name: as_object_column([cell]) for name, cell in row.items()}
    assert mixed.predict_one(row) == expected
    for table in ([row], columns, [list(row.values())], Frame(columns)):
        assert mixed.predict(table).tolist() == [expected]  # type: ignore[union-attr]


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("column", ["children", "smoker", "street"])
def test_a_missing_cell_is_refused_where_training_saw_none(
    mixed: Model, missing: Any, column: str
) -> None:
    row = dict(ROW, **{column: missing})
    with pytest.raises(InputError, match="missing value") as caught:
        mixed.predict([ROW, row])
    assert (caught.value.row, caught.value.column) == (1, column)
    with pytest.raises(InputError, match="missing value") as caught:
        mixed.predict_one(row)
    assert caught.value.column == column


NO_TEXTS: list[tuple[Any, str]] = [
    (3, "expected text, found 3"),
    (2.5, "expected text, found 2.5"),
    (True, "expected text, found True"),
    (np.int64(3), "expected text, found 3"),
    (b"Oslo", "bytes"),
    (["Oslo"], "a list of 1"),
    (datetime.date(2026, 1, 1), "type date"),
    (f"a{MISSING_STRING}b", "noncharacter U\\+FDD0"),
    (MISSING_STRING, "pass None"),
    ("a\ud800", "UTF-8"),
]


@pytest.mark.parametrize(("cell", "words"), NO_TEXTS)
def test_a_non_text_is_refused_with_row_and_column(mixed: Model, cell: Any, words: str) -> None:
    bad = dict(ROW, street=cell)
    columns = {name: [ROW[name], bad[name]] for name in ROW}
    for table in ([ROW, bad], columns, [list(ROW.values()), list(bad.values())]):
        with pytest.raises(InputError, match=words) as caught:
            mixed.predict(table)
        assert (caught.value.row, caught.value.column) == (1, "street")
    with pytest.raises(InputError, match=words):
        mixed.predict_one(bad)


def test_texts_arrive_in_the_graph_as_they_are(mixed: Model) -> None:
    class Shouting(str):
        def __str__(self) -> str:
            return self.upper()

    texts = ["a\0b", "\0", "", "é\U0001f427", " Paris ", np.str_("np"), Shouting("quiet")]
    rows = [dict(ROW, street=text) for text in texts]
    strings = InputReader(mixed.schema).feeds(rows)[0][STRINGS]
    assert strings[:, 1].tolist() == [*texts[:5], "np", "quiet"]
    assert {type(text) for text in strings.ravel()} == {str}
    assert mixed.predict(rows).tolist() == [mixed.predict_one(ROW)] * len(rows)  # type: ignore[union-attr]


@pytest.mark.parametrize("flag", [True, False, 1, 0, 1.0, np.True_, np.int8(0)])
def test_a_flag_is_true_false_one_or_zero(mixed: Model, flag: Any) -> None:
    expected = models.mixed_answer([(1.5, "Paris", 2, bool(flag), "Rue A")])[0]
    row = dict(ROW, smoker=flag)
    assert mixed.predict_one(row) == expected
    assert mixed.predict({k: [v] for k, v in row.items()}).tolist() == [expected]  # type: ignore[union-attr]


@pytest.mark.parametrize("flag", [2, -1, 0.5, np.float64(1.5)])
def test_a_flag_is_nothing_else(mixed: Model, flag: Any) -> None:
    with pytest.raises(InputError, match="expected true or false") as caught:
        mixed.predict({k: [ROW[k], v] for k, v in dict(ROW, smoker=flag).items()})
    assert (caught.value.row, caught.value.column) == (1, "smoker")
    with pytest.raises(InputError, match="expected true or false"):
        mixed.predict_one(dict(ROW, smoker=flag))


def test_an_integer_column_takes_a_fraction(mixed: Model) -> None:
    assert mixed.predict_one(dict(ROW, children=0.5)) == mixed.predict_one(ROW) - 15.0


@pytest.mark.parametrize("cell", [False, np.False_, True, 0, np.ma.array(1.5)])
def test_a_false_value_is_no_missing_text(mixed: Model, cell: Any) -> None:
    # False != False is False, as pandas.NA != pandas.NA is pandas.NA.
    with pytest.raises(InputError, match="expected text"):
        mixed.predict_one({**ROW, "city": cell})


def test_a_masked_cell_is_missing_whatever_lies_behind_the_mask(mixed: Model) -> None:
    assert mixed.predict_one({**ROW, "height": np.ma.masked}) == mixed.predict_one(
        {**ROW, "height": None}
    )
    for column in ("children", "street"):
        with pytest.raises(InputError, match="missing value"):
            mixed.predict_one({**ROW, column: np.ma.masked})
