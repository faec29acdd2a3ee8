"""Test broken and odd streams: the message about a bad row, and the rows after it."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from device import models
from device.streams import GOOD, LABELS, Run, rows_of

BAD_JSON = {
    "not JSON": (b'{"x0": 1', "not a JSON row: Expecting ',' delimiter, at character"),
    "an array of rows begins": (b'[{"x0":1,"x1":2,"x2":3},', "jq -c '.[]' takes an array apart"),
    "an array of rows": (b'[{"x0":1,"x1":2,"x2":3}]', "jq -c '.[]' takes an array apart"),
    "an array begins": (b"[", "jq -c '.[]' takes an array apart"),
    "a number": (b"3", "expected an object or an array"),
    "null": (b"null", "expected an object or an array"),
    "a key twice": (b'{"x0":1,"x0":2,"x1":2,"x2":3}', "a key appears twice"),
    "a key too few": (b'{"x0":1,"x1":2}', "column missing"),
    "a key too many": (b'{"x0":1,"x1":2,"x2":3,"y":4}', "does not know 'y'"),
    "a cell too few": (b"[1,2]", "expected 3 cells, found 2"),
    "text for a number": (b'[1,2,"3"]', "found the text '3'; write it as a number"),
    "a list for a number": (b"[1,2,[3]]", "a list of 1"),
    "NaN": (b"[1,2,NaN]", "missing value"),
    "null cell": (b"[1,2,null]", "missing value"),
    "infinity": (b"[1,2,-Infinity]", "expected a finite number"),
    "overflow": (b"[1,2,1e999]", "expected a finite number"),
    "huge integer": (b"[1,2," + b"9" * 400 + b"]", "no exact float64"),
    "more digits than Python reads": (
        b"[1,2," + b"9" * 5000 + b"]",
        "not a JSON row: a number of thousands of digits",
    ),
    "nested without end": (b"[" * 100_000, "nested too deep"),
    "no UTF-8": (b'[1,2,"\xff"]', "expected a number"),
    "a lone surrogate": (b'[1,2,"\\ud800"]', "expected a number"),
    "a NUL": (b"[1,2,3]\x00", "not a JSON row"),
    "a nested value": (
        b'{"x0":{"value":1},"x1":2,"x2":3}',
        "column 'x0': expected a number, found a dict of 1; write one row a line",
    ),
    "columns as pandas writes them": (
        b'{"x0":{"0":1},"x1":{"0":2},"x2":{"0":3}}',
        "to_json(orient='records', lines=True)",
    ),
    "columns of lists": (
        b'{"x0":[1],"x1":[2],"x2":[3]}',
        "found a list of 1; write one row a line",
    ),
    "a split table": (b'{"columns":["x0"],"data":[[1]]}', "to_json(orient='records', lines=True)"),
    "a row inside": (b'{"data":{"x0":1,"x1":2,"x2":3}}', "jq -c '.data' takes it out"),
    "rows inside": (b'{"the rows":[[1,2,3]]}', "jq -c '.[\"the rows\"][]' takes them out"),
    "Python's quotes": (b"{'x0':1,'x1':2,'x2':3}", "JSON has double quotes"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_a_bad_json_line_does_not_end_the_stream(run: Run, bundle_file: Path, name: str) -> None:
    bad, words = BAD_JSON[name]
    stream = b"[1,2,3]\n" + bad + b"\r\n[4,0,-2]"
    code, out, err = run("predict", bundle_file, "--format=jsonl", stdin=stream)
    assert code == 1
    assert [json.loads(line)["line"] for line in out.splitlines()] == [1, 3]
    message, total = err.splitlines()
    assert message.startswith("line 2: ")
    assert words in message
    assert len(message) < 400
    assert total == "edge-runtime: 2 rows predicted, 1 refused"


BAD_CSV = {
    "text": (
        b"1,abc,3",
        "column 'x1': expected a number, found the text 'abc'; correct it, or leave the row out",
    ),
    "missing": (b"1,,3", "column 'x1': expected a number, found a missing value"),
    "NA": (b"1,NA,3", "missing value"),
    "infinity": (
        b"1,-inf,3",
        "expected a finite number, found -inf; this model does not take infinity",
    ),
    "underscores": (b"1,1_000,3", "found the text '1_000'"),
    "a comma for a point": (b'1,"-1,5",3', "(with a decimal point: -1.5)"),
    "Arabic digits": ("1,\u0661,3".encode(), "expected a number"),
    "hexadecimal": (b"1,0x10,3", "expected a number"),
    "true": (b"1,true,3", "expected a number"),
    "an integer beyond float64": (b"1,9007199254740993,3", "no exact float64"),
    "a cell too few": (b"1,2", "expected 3 cells, found 2"),
    "a cell too many": (b"1,2,3,4", "expected 3 cells, found 4"),
    "no UTF-8": (b"1,\xff\xfe,3", "name the stream's --encoding"),
    "a NUL": (b"1,2\x00,3", "expected a number"),
    "a quote never closed": (b'1,"2,3', "a quote is opened and not closed"),
    "text after a quote": (b'1,"2"x,3', "not CSV"),
    "a cell beyond csv's limit": (b"1," + b"7" * 200_000 + b",3", "not CSV: field larger"),
    "a line without end": (b"1," + b"7" * 3_000_000 + b",3", "longer than 1048576 characters"),
}


@pytest.mark.parametrize("name", BAD_CSV)
def test_a_bad_csv_row_does_not_end_the_stream(run: Run, bundle_file: Path, name: str) -> None:
    bad, words = BAD_CSV[name]
    stream = b"x0,x1,x2\r\n1,2,3\r\n" + bad + b"\r\n4,0,-2\r\n-1,0.5,0\r\n"
    code, out, err = run("predict", bundle_file, stdin=stream)
    assert code == 1
    assert rows_of(out)[1:] == [["2", LABELS[0]], ["4", LABELS[2]], ["5", LABELS[1]]]
    message, total = err.splitlines()
    assert message.startswith("line 3: ")
    assert words in message
    assert len(message) < 400
    assert total == "edge-runtime: 3 rows predicted, 1 refused"


CELLS = {
    "whole": ("7", 7.0),
    "spaces": (" 7.5 ", 7.5),
    "sign": ("+7.5", 7.5),
    "no digit before the point": (".5", 0.5),
    "no digit after the point": ("5.", 5.0),
    "exponent": ("1E-3", 0.001),
    "17 digits": ("0.30000000000000004", 0.30000000000000004),
    "long whole": ("00000000000000000012", 12.0),
    "largest": ("1.7976931348623157e308", 1.7976931348623157e308),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_number_is_read_to_the_last_bit(run: Run, mixed_file: Path, name: str) -> None:
    text, value = CELLS[name]
    stream = f"height,city,children,smoker,street\n{text},x,0,False,s\n".encode()
    code, out, err = run("predict", mixed_file, "--json", stdin=stream)
    assert (code, err) == (0, "")
    assert json.loads(out)["prediction"] == value


MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
    *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)


def test_the_missing_values_of_pandas_are_missing(run: Run, mixed_file: Path) -> None:
    lines = [f'"{word}",{word},0,0,s' for word in MISSING]
    stream = "\n".join(["height,city,children,smoker,street", *lines, ""]).encode()
    code, out, err = run("predict", mixed_file, stdin=stream)
    assert (code, err) == (0, "")
    assert {row[1] for row in rows_of(out)[1:]} == {"5000.0"}
    assert len(rows_of(out)) == len(MISSING) + 1


@pytest.mark.parametrize("cell", [*MISSING, "n/A", "na", " ", " NA", "none", "Null", "0", "1_0"])
def test_a_text_cell_is_parsed_as_by_pandas(cell: str) -> None:
    pandas = pytest.importorskip("pandas")
    from edge_runtime.bundle.schema import Column
    from edge_runtime.inputs.text_cells import cell_parser

    value = cell_parser(Column("c", "string"))(cell)
    # The other cells keep the column one of texts.
    column = pandas.read_csv(io.StringIO(f'c,d\n"{cell}",1\nabc,1\n'))["c"]
    assert (value is None) == bool(pandas.isna(column[0]))
    assert value is None or value == column[0]


@pytest.mark.parametrize(
    "cell", ["", "NA", " 7", "7 ", "+7", ".5", "5.", "1e5", "1E-3", "-0", "007"]
)
def test_a_numeric_cell_is_parsed_as_by_pandas(cell: str) -> None:
    pandas = pytest.importorskip("pandas")
    from edge_runtime.bundle.schema import Column
    from edge_runtime.inputs.text_cells import cell_parser

    value = cell_parser(Column("c", "float64"))(cell)
    column = pandas.read_csv(io.StringIO(f"c,d\n{cell},1\n1.5,1\n"))["c"]
    assert column.dtype == np.float64
    assert value == column[0] or (value != value and np.isnan(column[0]))


def test_flags_are_spelt_as_pandas_spells_them(run: Run, mixed_file: Path) -> None:
    words = ["True", "TRUE", "true", "1", "False", "FALSE", "false", "0", "yes", "tRUE", "2"]
    lines = [f"0,x,0,{word},s" for word in words]
    stream = "\n".join(["height,city,children,smoker,street", *lines, ""]).encode()
    code, out, err = run("predict", mixed_file, stdin=stream)
    assert code == 1
    assert [row[1] for row in rows_of(out)[1:]] == ["100.0"] * 4 + ["0.0"] * 4
    assert len(err.splitlines()) == 4


def test_bom_crlf_blank_lines_and_quoted_line_ends_are_read(run: Run, mixed_file: Path) -> None:
    stream = (
        b'\xef\xbb\xbf"street",height,city,children,smoker\r\n'
        b'"two\r\nlines",1.5,Paris,2,True\r\n'
        b"\r\n"
        b"   \r\n"
        b'"a ""quoted"" word, and a comma",1.5,Oslo,0,False'
    )
    code, out, err = run("predict", mixed_file, stdin=stream)
    assert (code, len(err.splitlines())) == (0, 1)
    assert "line 6, the last, has no line end" in err
    assert [row[0] for row in rows_of(out)[1:]] == ["2", "6"]


def test_old_line_ends_are_read(run: Run, bundle_file: Path) -> None:
    code, out, _ = run("predict", bundle_file, stdin=GOOD.replace(b"\n", b"\r"))
    assert (code, [row[1] for row in rows_of(out)[1:]]) == (0, LABELS)


def test_one_stray_quote_does_not_swallow_the_rows_after_it(run: Run, bundle_file: Path) -> None:
    lines = [b"x0,x1,x2", *([b"1,2,3"] * 500)]
    lines[10] = b'"1,2,3'
    lines[20] = b'1,2,"3'
    code, out, err = run("predict", bundle_file, stdin=b"\n".join([*lines, b""]))
    assert code == 1
    assert [line.split(":")[0] for line in err.splitlines()] == [
        "line 11",
        "line 21",
        "edge-runtime",
    ]
    assert len(rows_of(out)) == 1 + 498


HEADERS = {
    "empty": (b"", "the input is empty"),
    "blank": (b"\n\n", "the input is empty"),
    "a column missing": (b"x0,x1\n1,2\n", "'x2': column missing"),
    "a column too many": (b"x0,x1,x2,y\n1,2,3,4\n", "does not know 'y'"),
    "a column twice": (b"x0,x1,x2,x1\n1,2,3,4\n", "'x1' appears twice"),
    "semicolons": (
        b"x0;x1;x2\n1;2,5;3\n",
        "'x2', in the first line, found 'x0;x1;x2'; the cells seem to be separated by semicolons",
    ),
    "tabs": (b'"x0"\t"x1"\t"x2"\n', "separated by tabs"),
    "no header": (b"1,2.5,-3e4\n4,0,-2\n", "put one with the columns' names above it"),
    "other names": (b"a;b\n1;2\n", "column missing: expected 'x0', 'x1', 'x2', found 'a;b'"),
    "a JSON object": (b'{"x0":1,"x1":2,"x2":3}\n', "pass --format jsonl"),
    "a JSON array": (b"[\n[1,2,3]\n]\n", "pass --format jsonl"),
    "UTF-16": ("x0,x1,x2\n1,2,3\n".encode("utf-16"), "pass --encoding utf-16\n"),
    "UTF-16-LE": ("x0,x1,x2\n1,2,3\n".encode("utf-16-le"), "pass --encoding utf-16-le\n"),
    "UTF-16-BE": ("x0,x1,x2\n1,2,3\n".encode("utf-16-be"), "pass --encoding utf-16-be\n"),
    "UTF-32": ("x0,x1,x2\n1,2,3\n".encode("utf-32"), "pass --encoding utf-32\n"),
    "UTF-32-LE": ("x0,x1,x2\n1,2,3\n".encode("utf-32-le"), "pass --encoding utf-32-le\n"),
    "UTF-32-BE": ("x0,x1,x2\n1,2,3\n".encode("utf-32-be"), "pass --encoding utf-32-be\n"),
    "damaged gzip": (gzip.compress(GOOD)[:10] + b'"' * 7, "is not whole gzip data"),
    "damaged bzip2": (b"BZh91AY&SY\x1b\xa8", "is not whole bzip2 data"),
    "damaged xz": (b"\xfd7zXZ\x00\x00\x04\xe6\xd6", "is not whole xz data"),
    "a damaged archive": (b"PK\x03\x04\x14\0\6\0", "is not a whole zip archive"),
    "Parquet": (b"PAR1\x15\x04", "is Parquet"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
    "SQLite": (b"SQLite format 3\0\x10", "export the table as CSV"),
    "a numpy array": (b"\x93NUMPY\x01\0", "is a numpy array"),
    "a PDF": (b"%PDF-1.7\n", "is a PDF"),
    "a web page": (b"<!DOCTYPE html>\n<html>", "is a web page"),
    "a pickle": (b"\x80\x04\x95", "is a pickle, which is never read"),
    "a model": (b"\x08\x0a\x3a", "name the model first"),
    "Excel's semicolons": (b"sep=;\nx0;x1;x2\n1;2;3\n", "separated by semicolons"),
    "the index of pandas": (b",x0,x1,x2\n0,1,2,3\n", "without index=False"),
    "a comma at the end": (b"x0,x1,x2,\n1,2,3,\n", "a column has no name"),
    "a comment": (b"# of today\nx0,x1,x2\n1,2,3\n", "remove the lines above"),
    "binary": (bytes(range(256)) * 4, "line 1 or column missing"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_does_not_fit_is_refused_in_one_line(
    run: Run, bundle_file: Path, name: str
) -> None:
    stream, words = HEADERS[name]
    code, out, err = run("predict", bundle_file, stdin=stream)
    assert (code, out) == (1, "")
    assert any(word in err for word in words.split(" or "))
    assert len(err.splitlines()) == 1
    assert err.rstrip("\n").isprintable()


def test_compressed_json_lines_are_read(run: Run, bundle_file: Path) -> None:
    stream = gzip.compress(b"[1,2,3]\n")
    code, out, err = run("predict", bundle_file, "--format", "jsonl", stdin=stream)
    assert (code, len(out.splitlines()), err) == (0, 1, "")


def test_one_row_and_one_cell_are_singular_in_messages(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(models.text().sealed())
    name = models.text().manifest.schema.names[0]
    code, _, err = run("predict", path, stdin=f"{name}\na word\na,b\n".encode())
    assert code == 1
    assert err.splitlines() == [
        "line 3: expected 1 cell, found 2",
        "edge-runtime: 1 row predicted, 1 refused",
    ]


def test_a_missing_method_is_refused_before_input_is_read(run: Run, mixed_file: Path) -> None:
    code, _, err = run("predict", mixed_file, "absent.csv", "--proba")
    assert (code, "has predict" in err) == (1, True)


def test_other_encodings_are_read_by_name(run: Run, bundle_file: Path) -> None:
    stream = GOOD.decode().encode("utf-16")
    assert run("predict", bundle_file, "--encoding", "utf-16", stdin=stream)[0] == 0
    code, out, err = run("predict", bundle_file, "--encoding", "utf-16", stdin=stream[:-1])
    assert (code, [row[0] for row in rows_of(out)[1:]]) == (1, ["2", "3"])
    assert err.startswith("line 4: column 'x2'")
    code, _, err = run("predict", bundle_file, "--encoding", "klingon", stdin=GOOD)
    assert (code, "klingon" in err) == (2, True)


@pytest.mark.parametrize(
    ("encoding", "bad"),
    [
        ("utf-16-le", b"\x00\xdc"),
        ("utf-16", b"\x41\xdc"),
        ("utf-32-be", b"\x00\x11\x00\x41"),
        ("utf-8", b"\xff"),
        ("shift_jis", b"\x81"),
    ],
)
def test_undecodable_bytes_cost_only_their_own_row(
    run: Run, bundle_file: Path, encoding: str, bad: bytes
) -> None:
    lines = ["x0,x1,x2\n", *(["1,2,3\n"] * 900), "1,2,?\n", *(["1,2,3\n"] * 99)]
    stream = "".join(lines).encode(encoding).replace("?".encode(encoding)[-len(bad) :], bad)
    code, out, err = run("predict", bundle_file, "--encoding", encoding, stdin=stream)
    assert code == 1
    assert [int(row[0]) for row in rows_of(out)[1:]] == [*range(2, 902), *range(903, 1002)]
    assert err.splitlines()[0].startswith("line 902: column 'x2': expected a number")


def test_a_bom_is_no_part_of_a_column_name(run: Run, bundle_file: Path) -> None:
    for name in ("utf-8", "UTF8", "u8"):
        code, _, err = run("predict", bundle_file, "--encoding", name, stdin=b"\xef\xbb\xbf" + GOOD)
        assert (code, err) == (0, "")


def test_a_header_without_rows_gives_a_header(run: Run, bundle_file: Path) -> None:
    assert run("predict", bundle_file, stdin=b"x0,x1,x2\n") == (0, "line,prediction\n", "")
    assert run("predict", bundle_file, "--json", stdin=b"x0,x1,x2\n") == (0, "", "")


def test_excels_separator_line_is_skipped(run: Run, bundle_file: Path) -> None:
    expected = [["3", LABELS[0]], ["4", LABELS[1]], ["5", LABELS[2]]]
    for line in (b"sep=,\r\n", b'"sep=,"\n', b"\xef\xbb\xbfSEP=,\n"):
        code, out, err = run("predict", bundle_file, stdin=line + GOOD)
        assert (code, rows_of(out)[1:], err) == (0, expected, "")


@pytest.mark.parametrize(
    ("line", "hint"),
    [(b"{\n", "an object begins here that spans several lines"), (b"x0,x1,x2\n", "--format csv")],
)
def test_a_first_line_that_is_no_json_gets_a_hint(
    run: Run, bundle_file: Path, line: bytes, hint: str
) -> None:
    code, _, err = run("predict", bundle_file, "--format", "jsonl", stdin=line + b"[1,2,3]\n")
    assert code == 1
    assert hint in err.splitlines()[0]


def test_swapped_arguments_get_a_hint(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_bytes(GOOD)
    code, _, err = run("predict", rows, bundle_file)
    assert (code, "name the model first" in err) == (1, True)


def test_digits_round_numbers_and_keep_labels(run: Run, bundle_file: Path) -> None:
    exact = run("predict", bundle_file, "--proba", stdin=GOOD)[1].splitlines()
    code, out, _ = run("predict", bundle_file, "--proba", "--digits", "2", stdin=GOOD)
    assert code == 0
    for line, exact_line in zip(out.splitlines()[1:], exact[1:], strict=True):
        number, label, *probabilities = line.split(",")
        exact_number, exact_label, *values = exact_line.split(",")
        assert (number, label) == (exact_number, exact_label)
        assert probabilities == [repr(round(float(value), 2)) for value in values]


@pytest.mark.parametrize("digits", ["-1", "two", "18", "1.5"])
def test_digits_that_make_no_sense_are_refused(run: Run, bundle_file: Path, digits: str) -> None:
    code, _, err = run("predict", bundle_file, f"--digits={digits}", stdin=GOOD)
    assert code == 2
    assert "expected 0 to 17 decimals" in err
