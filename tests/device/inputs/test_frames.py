"""Data frames of the real libraries; test_tables covers an imitation where none is installed."""

from typing import Any

import numpy as np
import pytest
from device import models
from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Column, Schema
from edge_runtime.inputs.tables import InputReader

import edge_runtime
from edge_runtime import InputError, Model

ROWS = [
    (1.5, "Paris", 2, True, "Rue A"),
    (None, None, 0, False, ""),
    (1.8, "Oslo", 10, True, "x"),
]
NAMES = [column.name for column in models.MIXED]
COLUMNS: dict[str, list[Any]] = {
    n: list(cells) for n, cells in zip(NAMES, zip(*ROWS, strict=True), strict=True)
}
EXPECTED = models.mixed_answer(ROWS).tolist()


@pytest.mark.parametrize(
    "dtypes",
    [
        {},
        {"height": "Float64", "children": "Int64", "smoker": "boolean", "city": "string"},
        {"height": "Float32", "children": "UInt8", "city": "object", "street": "object"},
        {"city": "category", "street": "category", "children": "category"},
        {"height": "object", "children": "object", "smoker": "object"},
    ],
)
def test_pandas_frames_of_all_dtypes_give_equal_predictions(
    mixed: Model, dtypes: dict[str, str]
) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS).astype(dtypes)
    expected = EXPECTED
    if dtypes.get("height") == "Float32":
        frame["height"] = frame["height"].astype("Float64").round(1)
    assert mixed.predict(frame).tolist() == expected  # type: ignore[union-attr]
    assert mixed.predict(frame[NAMES[::-1]]).tolist() == expected  # type: ignore[union-attr]
    assert mixed.predict(frame.iloc[::2]).tolist() == expected[::2]  # type: ignore[union-attr]
    assert mixed.predict(frame.iloc[:0]).shape == (0,)  # type: ignore[union-attr]
    assert [mixed.predict_one(row) for _, row in frame.iterrows()] == expected


def test_arrow_backed_columns_are_read(mixed: Model) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    types = dict(zip(NAMES, ("double", "string", "int64", "bool", "string"), strict=True))
    frame = pandas.DataFrame(COLUMNS).astype({n: f"{t}[pyarrow]" for n, t in types.items()})
    assert mixed.predict(frame).tolist() == EXPECTED  # type: ignore[union-attr]


def test_a_polars_frame_gives_equal_predictions(mixed: Model) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(COLUMNS)
    assert mixed.predict(frame).tolist() == EXPECTED  # type: ignore[union-attr]
    coded = frame.with_columns(polars.col("city").cast(polars.Categorical))
    assert mixed.predict(coded).tolist() == EXPECTED  # type: ignore[union-attr]
    assert mixed.predict(frame.head(0)).shape == (0,)  # type: ignore[union-attr]


def test_an_arrow_table_is_read_by_its_column_names(mixed: Model) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(COLUMNS)
    assert mixed.predict(table).tolist() == EXPECTED  # type: ignore[union-attr]
    assert mixed.predict(table.select(NAMES[::-1])).tolist() == EXPECTED  # type: ignore[union-attr]
    with pytest.raises(InputError, match="column missing"):
        mixed.predict(table.rename_columns(["a", *NAMES[1:]]))


def test_a_column_of_another_dtype_is_refused_by_name(mixed: Model) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS)
    for name, cells in (
        ("children", ["2", "0", "10"]),
        ("children", [2, None, 10]),
        ("street", ["a", 2, "c"]),
        ("street", ["a", None, "c"]),
        ("children", pandas.to_datetime(["2026-01-01"] * 3)),
        ("smoker", [True, None, False]),
    ):
        with pytest.raises(InputError) as caught:
            mixed.predict(frame.assign(**{name: cells}))
        assert caught.value.column == name


def test_a_text_model_predicts_for_a_pandas_series(text_model: Model) -> None:
    pandas = pytest.importorskip("pandas")
    assert text_model.predict(pandas.Series(["spam", "ham"])).tolist() == [1, 0]  # type: ignore[union-attr]


def test_a_model_of_an_array_predicts_for_an_unnamed_frame(classifier: Model) -> None:
    pandas = pytest.importorskip("pandas")
    X = [[1.0, 2.0, 3.0], [4.0, 0.0, -2.0]]
    frame = pandas.DataFrame(X)
    assert classifier.predict(frame).tolist() == models.labels(X).tolist()  # type: ignore[union-attr]


def column_of(library: str, cells: list[int | None]) -> Any:
    package = pytest.importorskip(library.split()[0])
    match library:
        case "pandas":
            return package.DataFrame({"x": package.Series(cells, dtype="Int64")})
        case "pandas category":
            return package.DataFrame({"x": package.Series(package.Categorical(cells))})
        case "polars":
            return package.DataFrame({"x": cells})
        case "pyarrow array":
            return {"x": package.array(cells)}
    return package.table({"x": cells})


@pytest.mark.parametrize(
    "library", ["pandas", "pandas category", "polars", "pyarrow", "pyarrow array"]
)
def test_an_inexact_integer_beside_a_missing_value_is_refused(library: str) -> None:
    """An integer that float64 cannot hold is refused in a column with missing values, too."""
    schema = Schema("table", (Column("x", "int64", missing=True),))
    large = [2**53, None, -(2**53) - 1]
    with pytest.raises(InputError, match="9007199254740993 is no exact float64") as caught:
        InputReader(schema).feeds(column_of(library, large))
    assert (caught.value.row, caught.value.column) == (2, "x")
    feeds, _ = InputReader(schema).feeds(column_of(library, [2**53, None, -(2**60)]))
    np.testing.assert_array_equal(feeds[NUMBERS][:, 0], [2.0**53, np.nan, -(2.0**60)])


@pytest.mark.parametrize("chunked", [True, False])
def test_null_in_an_arrow_dictionary_column_is_missing(chunked: bool) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    columns = {
        "x": pyarrow.array([3, None, 4]).dictionary_encode(),
        "s": pyarrow.array(["a", None, "b"]).dictionary_encode(),
    }
    schema = Schema(
        "table", (Column("x", "int64", missing=True), Column("s", "string", missing=True))
    )
    feeds, _ = InputReader(schema).feeds(pyarrow.table(columns) if chunked else columns)
    np.testing.assert_array_equal(feeds[NUMBERS][:, 0], [3.0, np.nan, 4.0])
    assert feeds[STRINGS][:, 0].tolist() == ["a", MISSING_STRING, "b"]


def test_a_repeated_name_in_a_pandas_row_is_refused(classifier: Model) -> None:
    pandas = pytest.importorskip("pandas")
    for names in (["x0", "x1", "x2", "x2"], ["x0", "x1", "x1"]):
        row = pandas.Series([1.0] * len(names), index=names)
        with pytest.raises(InputError, match=f"{names[-1]!r} appears twice"):
            classifier.predict_one(row)


def test_a_pandas_row_without_the_models_names_is_refused(classifier: Model) -> None:
    """The error tells the caller to pass the row as an array."""
    pandas = pytest.importorskip("pandas")
    row = pandas.Series([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"trained without names: pass row\.to_numpy\(\)"):
        classifier.predict_one(row)
    assert classifier.predict_one(row.to_numpy()) == models.labels([[1.0, 2.0, 3.0]])[0]
    row.index = ["x2", "x0", "x1"]
    assert classifier.predict_one(row) == models.labels([[2.0, 3.0, 1.0]])[0]
    table = edge_runtime.load(models.classifier(kind="table").sealed())
    with pytest.raises(InputError, match="column missing"):
        table.predict_one(pandas.Series([1.0, 2.0, 3.0]))
