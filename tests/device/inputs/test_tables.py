"""All kinds of tables are read, and errors name the fault.  The oracle is numpy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device import models
from device.tables import ROW, Frame
from edge_runtime.bundle.schema import NUMBERS, Column, Schema
from edge_runtime.inputs.single_row import RowBuffers, row_writer
from edge_runtime.inputs.tables import InputReader

import edge_runtime
from edge_runtime import InputError, Model

X = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [4.0, 0.0, -2.0], [0.1, 0.2, 0.3]])
FORMS: dict[str, Callable[[Any], Any]] = {
    "array": lambda X: X,
    "Fortran order": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed twice": lambda X: X[::-1].copy()[::-1],
    "other byte order": lambda X: X.astype(">f8"),
    "object array": lambda X: X.astype(object),
    "list of lists": lambda X: X.tolist(),
    "list of tuples": lambda X: [tuple(row) for row in X],
    "list of arrays": list,
    "list of dicts": lambda X: [dict(zip(("x0", "x1", "x2"), r, strict=True)) for r in X.tolist()],
    "dicts in another order": lambda X: [{"x2": r[2], "x0": r[0], "x1": r[1]} for r in X.tolist()],
    "dict of lists": lambda X: {f"x{i}": X[:, i].tolist() for i in (2, 0, 1)},
    "dict of arrays": lambda X: {f"x{i}": X[:, i] for i in (0, 1, 2)},
    "frame": lambda X: Frame({f"x{i}": X[:, i] for i in (1, 0, 2)}),
    "frame of other names": lambda X: Frame({n: X[:, i] for i, n in enumerate("abc")}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_gives_equal_predictions(classifier: Model, form: str) -> None:
    assert classifier.predict(FORMS[form](X)).tolist() == models.labels(X).tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", ["f4", "f2", "i1", "i8", "u1", "u8", "bool"])
def test_every_dtype_that_float64_holds_is_accepted(classifier: Model, dtype: str) -> None:
    integers = np.array([[1, 0, 1], [0, 1, 1]], dtype=dtype)
    np.testing.assert_array_equal(
        classifier.decision_function(integers), models.scores(integers.astype(float))
    )


def test_a_float64_array_is_not_copied(classifier: Model) -> None:
    frozen = X.copy()
    frozen.flags.writeable = False
    feeds, n_rows = InputReader(classifier.schema).feeds(frozen)
    assert feeds[NUMBERS] is frozen
    assert n_rows == len(X)
    assert classifier.predict(frozen).tolist() == models.labels(X).tolist()  # type: ignore[union-attr]


def test_a_memory_mapped_array_is_read_in_place(classifier: Model, tmp_path: Path) -> None:
    X.tofile(tmp_path / "rows.bin")
    mapped = np.memmap(tmp_path / "rows.bin", dtype=np.float64, mode="r", shape=X.shape)
    feeds, _ = InputReader(classifier.schema).feeds(mapped)
    assert np.shares_memory(feeds[NUMBERS], mapped)
    assert classifier.predict(mapped).tolist() == models.labels(X).tolist()  # type: ignore[union-attr]


def test_the_input_is_never_changed(mixed: Model) -> None:
    rows = [dict(ROW), dict(ROW, height=None, city=None)]
    before = [dict(row) for row in rows]
    mixed.predict(rows)
    mixed.predict_one(rows[1])
    assert rows == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.empty((0, 3)),
        lambda: np.empty((0, 3), dtype=object),
        list,
        lambda: {"x0": [], "x1": [], "x2": []},
        lambda: Frame({"x0": [], "x1": [], "x2": []}),
    ],
)
def test_an_empty_table_gives_empty_predictions(classifier: Model, make: Callable[[], Any]) -> None:
    labels: Any = classifier.predict(make())
    assert (labels.shape, labels.dtype) == ((0,), np.dtype("<U9"))
    proba: Any = classifier.predict_proba(make())
    assert (proba.shape, proba.dtype) == ((0, 3), np.float64)


SHAPES: list[tuple[Any, str]] = [
    (np.zeros(3), r"expected a 2-d array .*predict_one\(row\) or X.reshape"),
    (np.zeros((1, 1, 3)), "found 3-d"),
    (np.float64(1.0), "expected a 2-d array"),
    (np.zeros((2, 2)), "expected 3 columns, found 2"),
    (np.zeros((2, 4)), "expected 3 columns, found 4"),
    (np.zeros((1, 100_000)), "expected 3 columns, found 100000"),
    ([[1.0, 2.0]], "row 0: expected 3 cells, found 2"),
    ([[1.0, 2.0, 3.0], [1.0]], "row 1: expected 3 cells, found 1"),
    ([1.0, 2.0, 3.0], r"row 0: expected a row of 3 cells, found float; .*predict_one"),
    ([[1.0, 2.0, 3.0], {"x0": 1.0}], "row 1: expected a row"),
    ([{"x0": 1.0, "x1": 2.0, "x2": 3.0}, [1.0, 2.0, 3.0]], "row 1: expected a dict, found list"),
    (["a", "b"], "found a list of str"),
    ("text", "found one str"),
    (b"bytes", "found one bytes"),
    (None, "found NoneType"),
    (3.0, "found float"),
    ((row for row in X), "found generator"),
    ({1.0, 2.0}, "found set"),
    ({"x0": [1.0], "x1": [1.0, 2.0], "x2": [1.0]}, "columns of one length"),
    ({"x0": 1.0, "x1": 2.0, "x2": 3.0}, r"a column of cells, found float; .*predict_one"),
    ({"x0": "1", "x1": "2", "x2": "3"}, "a column of cells, found str"),
    ({"x0": np.zeros((1, 1)), "x1": [0.0], "x2": [0.0]}, "1-d column"),
    ({"x0": [1.0], "x2": [1.0]}, "'x1': column missing: expected 'x1', found 'x0', 'x2'"),
    ({}, "'x0': column missing"),
    ({"x0": [1.0], "x1": [1.0], "x2": [1.0], "y": [1.0]}, "'y': the model does not know 'y'"),
    ([{"x0": 1.0, "x1": 2.0, "x2": 3.0}, {"x0": 1.0, "x1": 2.0}], "row 1, column 'x2'"),
    ([{"x0": 1.0, "x1": 2.0, "x2": 3.0, 4: 5.0}], "row 0, column '4': the model does not know '4'"),
]


@pytest.mark.parametrize(("table", "words"), SHAPES)
def test_a_table_of_another_shape_is_refused(classifier: Model, table: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        classifier.predict(table)


def test_a_sparse_matrix_is_refused(classifier: Model) -> None:
    class Sparse:
        shape = (1, 3)

        def toarray(self) -> Any:
            raise AssertionError("must not be called: it may not fit in memory")

    with pytest.raises(InputError, match=r"pass X\.toarray\(\)"):
        classifier.predict(Sparse())


def test_a_masked_cell_is_a_missing_value(classifier: Model, mixed: Model) -> None:
    masked = np.ma.masked_array(X, mask=X == 2.0)
    for call in (
        lambda: classifier.predict(masked),
        lambda: classifier.predict({f"x{i}": masked[:, i] for i in range(3)}),
    ):
        with pytest.raises(InputError, match="missing value") as caught:
            call()
        assert (caught.value.row, caught.value.column) == (0, "x1")
    with pytest.raises(InputError, match="missing value"):
        classifier.predict_one(masked[0])
    heights = np.ma.masked_array([1.5, 99.0], mask=[False, True])
    table = {name: [cell, cell] for name, cell in ROW.items()} | {"height": heights}
    expected = models.mixed_answer([(h, "Paris", 2, True, "") for h in (1.5, None)])
    assert mixed.predict(table).tolist() == expected.tolist()  # type: ignore[union-attr]


def test_a_numpy_matrix_is_read_by_rows(classifier: Model) -> None:
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(X)
    assert classifier.predict(matrix).tolist() == models.labels(X).tolist()  # type: ignore[union-attr]


def test_two_columns_with_one_name_are_refused(classifier: Model) -> None:
    frame = Frame({"x0": [1.0], "x1": [1.0], "x2": [1.0]})
    frame.columns = ["x0", "x1", "x2", "x1"]
    with pytest.raises(InputError, match="'x1' appears twice"):
        classifier.predict(frame)


def test_the_first_repeated_column_of_many_is_named(classifier: Model) -> None:
    class Name(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return str.__eq__(self, str(other))

        __hash__ = str.__hash__

    names = [Name(f"column {i}") for i in range(2000)]
    with pytest.raises(InputError, match="'column 7' appears twice"):
        InputReader(classifier.schema).check_names([*names, Name("column 7")])
    assert Name.compared < 10_000  # comparing all pairs would take two million


@pytest.mark.parametrize("lengths", [(1, 3, 3), (3, 1, 3), (3, 3, 4), (1, 1, 1)])
def test_a_frame_with_columns_of_another_length_is_refused(
    classifier: Model, lengths: tuple[int, ...]
) -> None:
    class Uneven(Frame):
        def __len__(self) -> int:
            return 3

    for names in (["x0", "x1", "x2"], ["a", "b", "c"]):
        frame = Uneven({n: np.zeros(k) for n, k in zip(names, lengths, strict=True)})
        with pytest.raises(InputError, match=r"as the table has rows, found [14]|of one length"):
            classifier.predict(frame)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"x0": 1.0, "x1": 2.0, "X2": 3.0}, "did you mean 'x2' by 'X2'?"),
        ({"x0": 1.0, "x1": 2.0, " x2": 3.0}, "did you mean 'x2' by ' x2'?"),
        ({"x0": 1.0, "X1": 2.0, "X2": 3.0}, "did you mean 'x1' by 'X1', 'x2' by 'X2'?"),
        ({"x0": 1.0, "x1": 2.0, "width": 3.0}, "not know 'width': rename it if it is 'x2'"),
        ({"x0": 1.0, "width": 3.0, "z": 4}, "; the model does not know 'width', 'z'$"),
        ({"x0": 1.0, "x1": 2.0}, "expected 'x2', found 'x0', 'x1'$"),
        ({}, "expected 'x0', 'x1', 'x2', found no columns$"),
    ],
)
@pytest.mark.parametrize("extra", ["refuse", "ignore"])
def test_an_unknown_column_is_suggested_for_a_missing_one(
    healthy_bundle: bytes, row: dict[str, float], words: str, extra: Any
) -> None:
    with edge_runtime.load(healthy_bundle, extra_columns=extra) as model:
        columns = {name: [cell] for name, cell in row.items()}
        for call in (
            lambda: model.predict_one(row),
            lambda: model.predict([row]),
            lambda: model.predict(columns),
        ):
            with pytest.raises(InputError, match=words.replace("?", r"\?$")):
                call()


@pytest.mark.parametrize(
    ("name", "misspelt"),
    [
        *(("island", misspelt) for misspelt in ("Island", "islnd", "\ufeffisland", " ISLAND")),
        ("a name that goes on and on " * 9, "a name that goes on and on " * 8),
    ],
)
def test_a_misspelt_name_is_suggested(name: str, misspelt: str) -> None:
    reader = InputReader(Schema("table", (Column(name, "float64"), Column("sex", "string"))))
    with pytest.raises(InputError) as caught:
        reader.check_names([misspelt, "sex"])
    assert str(caught.value).endswith(f"; did you mean {name!r} by {misspelt!r}?")


def test_a_list_of_rows_is_not_taken_for_one_row(classifier: Model) -> None:
    row = {"x0": 1.0, "x1": 2.0, "x2": 3.0}
    for rows, words in (
        ([row], "found a list of one dict; pass the dict itself"),
        ([[1.0, 2.0, 3.0]], "found a list of one list; pass the list itself"),
        ([row] * 3, "found a list of 3 dicts; for several rows use predict"),
        ([row] * 2, "found a list of 2 dicts; for several rows use predict"),
    ):
        with pytest.raises(InputError, match=f"expected one row, {words}"):
            classifier.predict_one(rows)


def test_one_cell_and_one_column_are_singular(text_model: Model) -> None:
    reader = InputReader(Schema("table", (Column("x", "float64"),)))
    write, buffers = row_writer(reader), RowBuffers(reader.schema)
    for call, words in (
        (lambda: write([1.0, 2.0], buffers), "expected 1 cell, found 2"),
        (lambda: write(3.0, buffers), "a row of 1 cell \\("),
        (lambda: write([{"x": 1.0}], buffers), "found a list of one dict; pass the dict itself"),
        (lambda: reader.feeds([[1.0, 2.0]]), "expected 1 cell, found 2"),
        (lambda: reader.feeds(np.zeros((2, 3))), "expected 1 column, found 3"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_extra_columns_can_be_ignored_by_choice(healthy_bundle: bytes) -> None:
    with edge_runtime.load(healthy_bundle, extra_columns="ignore") as model:
        table = {"id": ["a"], "x0": [1.0], "x1": [2.0], "x2": [3.0]}
        row = {name: cells[0] for name, cells in table.items()}
        expected = models.labels([[1.0, 2.0, 3.0]])
        assert model.predict(table).tolist() == expected.tolist()  # type: ignore[union-attr]
        assert model.predict([row]).tolist() == expected.tolist()  # type: ignore[union-attr]
        assert model.predict_one(row) == expected[0]
        with pytest.raises(InputError, match="column missing"):
            model.predict_one({"id": 1, "x0": 1.0, "x1": 2.0})


@pytest.mark.parametrize(
    "texts",
    [
        ["spam", "ham"],
        ("spam", "ham"),
        np.array(["spam", "ham"]),
        np.array(["spam", "ham"], dtype=object),
        np.array([["spam"], ["ham"]]),
        [["spam"], ["ham"]],
        [{"text": "spam"}, {"text": "ham"}],
        {"text": ["spam", "ham"]},
        Frame({"text": ["spam", "ham"]}),
        Frame({"message": ["spam", "ham"]}),
    ],
)
def test_a_text_model_accepts_lists_of_str(text_model: Model, texts: Any) -> None:
    assert text_model.predict(texts).tolist() == [1, 0]  # type: ignore[union-attr]


def test_a_text_model_refuses_cells_that_are_no_text(text_model: Model) -> None:
    for bad in (["spam", 3], ["spam", None], np.array([1.0, 2.0]), [3]):
        with pytest.raises(InputError):
            text_model.predict(bad)
    with pytest.raises(InputError, match="pass a list of rows"):
        text_model.predict("spam")
    assert text_model.predict_one("spam") == 1
    assert text_model.predict([]).shape == (0,)  # type: ignore[union-attr]


def test_a_message_stays_short_however_wide_the_table(classifier: Model) -> None:
    wide = {f"column {i}": [0.0] for i in range(100_000)}
    with pytest.raises(InputError, match="and 99995 more") as caught:
        classifier.predict(wide)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("row", [np.array(1.0), np.ma.masked, {1.0, 2.0, 3.0}, list, b"abc", 3.0])
def test_an_invalid_row_is_named_by_its_position(classifier: Model, row: Any) -> None:
    with pytest.raises(InputError, match="row 1: expected a row of 3 cells") as caught:
        classifier.predict([[1.0, 2.0, 3.0], row])
    assert caught.value.row == 1


NUMBERED = Schema("table", (Column("0", "float64"), Column("('a', 1)", "float64")))


def test_a_name_that_is_no_str_is_compared_by_its_text() -> None:
    columns: dict[Any, Any] = {("a", 1): [2.0, 4.0], 0: [1.0, 3.0]}
    rows = [{0: 1.0, ("a", 1): 2.0}, {"0": 3.0, ("a", 1): 4.0}]
    reader = InputReader(NUMBERED)
    for X in (Frame(columns), columns, rows):
        feeds, n_rows = reader.feeds(X)
        assert n_rows == 2
        assert feeds[NUMBERS].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    for extra in ("refuse", "ignore"):
        write, buffers = (
            row_writer(InputReader(NUMBERED, extra_columns=extra)),
            RowBuffers(NUMBERED),
        )  # type: ignore[arg-type]
        for row, expected in zip(rows, ([1.0, 2.0], [3.0, 4.0]), strict=True):
            write(row, buffers)
            assert buffers.numbers.tolist() == [expected]


@pytest.mark.parametrize("extra", ["refuse", "ignore"])
def test_two_names_with_one_text_are_refused(extra: Any) -> None:
    reader = InputReader(NUMBERED, extra_columns=extra)
    row: dict[Any, Any] = {0: 1.0, "0": 2.0, "('a', 1)": 3.0}
    columns = {name: [cell] for name, cell in row.items()}
    write, buffers = row_writer(reader), RowBuffers(NUMBERED)
    for call in (
        lambda: reader.feeds(columns),
        lambda: reader.feeds(Frame(columns)),
        lambda: reader.feeds([row]),
        lambda: write(row, buffers),
    ):
        with pytest.raises(InputError, match="'0' appears twice"):
            call()
