"""Test that files are read by the sealed reading, and that switches override it."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from device import models
from device.streams import GOOD, LABELS, Run, rows_of
from edge_runtime.bundle.reading import CellRule, Reading
from edge_runtime.inputs import compressed
from edge_runtime.inputs.text_cells import number_parser

ROWS = [
    (1.75, "Örebro", 2, True, "Rue A"),
    (1234.5, "Paris", 0, False, "x;y"),
    (-3.0, None, 1, True, ""),
]
ANSWERS = [f"{answer:g}" for answer in models.mixed_answer(ROWS)]


@pytest.fixture
def bundle_with(tmp_path: Path) -> Any:
    """Seal the mixed model with a reading and ignored columns; give the file's path."""

    def seal(reading: Reading | None = None, *ignored: str) -> Path:
        parts = models.mixed()
        schema = replace(parts.manifest.schema, ignored=ignored)
        path = tmp_path / "m.onnx"
        path.write_bytes(parts.sealed(reading=reading, schema=schema))
        return path

    return seal


def predictions(out: str) -> list[str]:
    return [f"{float(row[1]):g}" for row in rows_of(out)[1:]]


GERMAN = Reading(
    ";",
    ",",
    ".",
    "cp1252",
    ("?",),
    (),
    {"height": CellRule("EUR"), "children": CellRule("kg", ".", "")},
)
GERMAN_TEXT = (
    "height;city;children;smoker;street;target\n"
    "1,75 EUR;Örebro;2 kg;True;Rue A;u\n"
    'EUR 1.234,50;Paris;0;False;"x;y";v\n'
    "-3 EUR;?;1kg;true;;u\n"
)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("chunk", [1, 100])
def test_a_german_file_needs_no_switch(
    run: Run, bundle_with: Any, tmp_path: Path, jobs: int, chunk: int
) -> None:
    """cp1252, semicolons, decimal commas, marks, markers, and the training table's target."""
    file = tmp_path / "rows.csv"
    file.write_bytes(GERMAN_TEXT.encode("cp1252"))
    options = ("--jobs", jobs, "--chunk", chunk)
    code, out, err = run("predict", bundle_with(GERMAN, "target"), file, *options)
    assert (code, predictions(out)) == (1, ANSWERS[:2])
    assert "line 4: column 'street'" in err  # of a column that is never missing


def test_switches_override_the_reading(run: Run, bundle_with: Any) -> None:
    text = "height|city|children|smoker|street\n1.75|Örebro|2|True|a\n1,234.5|Paris|0|False|b\n"
    options = ("--separator", "|", "--decimal", ".", "--thousands", ",", "--encoding", "utf-8")
    code, out, err = run("predict", bundle_with(GERMAN), *options, stdin=text.encode())
    assert (code, predictions(out), err) == (0, ANSWERS[:2], "")


def test_another_mark_is_refused_row_by_row(run: Run, bundle_with: Any) -> None:
    text = GERMAN_TEXT.replace("1,75 EUR", "1,75 USD").encode("cp1252")
    code, out, err = run("predict", bundle_with(GERMAN, "target"), stdin=text)
    assert (code, predictions(out)) == (1, ANSWERS[1:2])
    assert "found the text '1,75 USD'" in err


def test_columns_of_the_training_table_are_ignored_and_others_refused(
    run: Run, bundle_with: Any
) -> None:
    text = b"y,height,city,children,smoker,street\nu,1.75,Oslo,2,True,a\n"
    assert run("predict", bundle_with(None, "y"), stdin=text)[0] == 0
    code, _, err = run("predict", bundle_with(None, "z"), stdin=text)
    assert code == 1
    assert "does not know 'y'" in err


HEADERLESS = Reading(names=("id", *(c.name for c in models.MIXED), "y"))


@pytest.mark.parametrize(
    "text",
    [
        "7,1.75,Örebro,2,True,a,u\n8,1234.5,Paris,0,False,b,v\n",
        "1.75,Örebro,2,True,a\n1234.5,Paris,0,False,b\n",
        "id,height,city,children,smoker,street,y\n7,1.75,Örebro,2,True,a,u\n"
        "8,1234.5,Paris,0,False,b,v\n",
    ],
    ids=["the training table", "only the features", "with a header"],
)
def test_a_model_of_a_file_without_header_reads_such_files(
    run: Run, bundle_with: Any, text: str
) -> None:
    code, out, err = run("predict", bundle_with(HEADERLESS, "id", "y"), stdin=text.encode())
    assert (code, predictions(out), err) == (0, ANSWERS[:2], "")


def test_a_file_without_header_of_another_width_is_refused(run: Run, bundle_with: Any) -> None:
    code, out, err = run("predict", bundle_with(HEADERLESS), stdin=b"1,2,3\n")
    assert (code, out) == (1, "")
    assert "expected rows of 7 or 5 cells and no header" in err


def test_no_header_reads_the_order_of_training(run: Run, bundle_file: Path) -> None:
    stdin = GOOD.partition(b"\n")[2]
    code, out, _ = run("predict", bundle_file, "--no-header", stdin=stdin)
    assert (code, [row[1] for row in rows_of(out)[1:]]) == (0, LABELS)


def zipped(content: bytes, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return stream.getvalue()


PACKED = {
    "gz": gzip.compress(GOOD),
    "two gz members": gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:]),
    "bz2": bz2.compress(GOOD),
    "xz": lzma.compress(GOOD),
    "two xz streams": lzma.compress(GOOD[:20]) + lzma.compress(GOOD[20:]),
    "zip": zipped(GOOD, "t.csv"),
}


@pytest.mark.parametrize("name", PACKED)
def test_compressed_rows_are_read_whatever_their_name(
    run: Run, bundle_file: Path, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(PACKED[name])
    code, out, err = run("predict", bundle_file, file)
    assert (code, err) == (0, "")
    assert [row[1] for row in rows_of(out)[1:]] == LABELS


@pytest.mark.slow
def test_zstd_is_read_with_its_package(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    file = tmp_path / "rows.csv.zst"
    packed = zstandard.compress(GOOD[:20]) + zstandard.compress(GOOD[20:] + GOOD * 50_000)
    file.write_bytes(packed)
    code, out, _ = run("predict", bundle_file, file)
    assert (code, len(out.splitlines())) == (0, 1 + 3 * 50_001)
    file.write_bytes(packed[:-3])
    code, _, err = run("predict", bundle_file, file)
    assert code == 1
    assert "is not whole zstd data" in err


@pytest.mark.parametrize("name", [name for name in PACKED if name != "zip"])
def test_a_damaged_archive_is_an_error_and_leaves_no_output(
    run: Run, bundle_file: Path, tmp_path: Path, name: str
) -> None:
    packed, output = PACKED[name], tmp_path / "out.csv"
    for damaged in (packed[:-6], packed[:15], packed[:12] + b"\xff" * 12 + packed[24:]):
        (tmp_path / "rows").write_bytes(damaged)
        code, _, err = run("predict", bundle_file, tmp_path / "rows", "-o", output)
        assert code == 1
        assert len(err.splitlines()) >= 1
        assert not output.exists()


def test_a_zip_archive_of_two_files_and_a_workbook_are_named(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "rows.zip"
    file.write_bytes(zipped(GOOD, "a.csv", "b.csv"))
    assert "holds 2 files" in run("predict", bundle_file, file)[2]
    file.write_bytes(zipped(b"", "[Content_Types].xml", "xl/workbook.xml"))
    assert "is a workbook of Excel" in run("predict", bundle_file, file)[2]


@pytest.mark.slow
def test_a_bomb_is_refused(
    run: Run, bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "FREE_BYTES", 1 << 20)
    file = tmp_path / "rows.csv.bz2"
    file.write_bytes(bz2.compress(GOOD + b"1,2,3\n" * 2_000_000))
    code, _, err = run("predict", bundle_file, file, "--chunk", "1000000")
    assert code == 1
    assert "expands to more than 1000 times its size" in err


def test_an_xz_dictionary_of_a_gigabyte_is_refused(
    run: Run, bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "MAX_DICTIONARY_BYTES", 1 << 16)
    (tmp_path / "rows").write_bytes(PACKED["xz"])
    code, out, err = run("predict", bundle_file, tmp_path / "rows")
    assert (code, out) == (1, "")
    assert "is not whole xz data" in err


RECORDS = [
    {"x0": 1, "x1": 2, "x2": 3},
    {"x2": 0, "x1": 0.5, "x0": -1},
    {"x0": 4, "x1": 0, "x2": -2},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [1, 100])
def test_a_json_array_of_records_is_read(
    run: Run, bundle_file: Path, indent: int | None, chunk: int
) -> None:
    stdin = json.dumps(RECORDS * 50, indent=indent).encode()
    options = ("--format", "jsonl", "--chunk", chunk)
    code, out, err = run("predict", bundle_file, *options, stdin=stdin)
    assert (code, err) == (0, "")
    assert [json.loads(line)["prediction"] for line in out.splitlines()] == LABELS * 50


def test_a_broken_record_of_an_array_costs_itself_alone(run: Run, bundle_file: Path) -> None:
    good = json.dumps(RECORDS[0])
    text = f'[{good}, {{"x0": 1, "x1": oops, "x2": "],"}}, 5, {good}, {{"a\\\\": "\\"]}}"}}, {good}'
    code, out, err = run("predict", bundle_file, "--format", "jsonl", stdin=text.encode())
    assert (code, len(out.splitlines())) == (1, 3)
    assert [line.split(":")[0] for line in err.splitlines()[:3]] == ["line 2", "line 3", "line 5"]


def test_text_after_a_json_array_is_reported(run: Run, bundle_file: Path) -> None:
    text = json.dumps(RECORDS) + "[1,2"
    code, out, err = run("predict", bundle_file, "--format", "jsonl", stdin=text.encode())
    assert (code, len(out.splitlines())) == (1, 3)
    assert "line 4" in err


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "rows.feather"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_parquet_and_arrow_are_read_in_batches(
    run: Run, bundle_with: Any, tmp_path: Path, name: str, jobs: int
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    names = [column.name for column in models.MIXED]
    table = pyarrow.table({n: [row[i] for row in ROWS] for i, n in enumerate(names)} | {"y": "uvu"})
    file = tmp_path / name
    if name.endswith("parquet"):
        pyarrow.parquet.write_table(table, file)
    else:
        with pyarrow.OSFile(str(file), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as w:
            w.write_table(table)
    for chunk in (1, 2, 100):
        options = ("--jobs", jobs, "--chunk", chunk)
        code, out, err = run("predict", bundle_with(None, "y"), file, *options)
        assert (code, predictions(out), err) == (0, ANSWERS, "")
    file.write_bytes(file.read_bytes()[:-20])
    code, _, err = run("predict", bundle_with(None, "y"), file)
    assert code == 1
    assert "cannot be read as a table of Arrow" in err


@pytest.mark.parametrize(
    ("rule", "numbers", "texts"),
    [
        (
            CellRule("$", ".", ","),
            {
                "$1,250.00": 1250,
                "-$5": -5,
                "$-5": -5,
                "($1.5)": -1.5,
                "7": 7,
                "1,234,567 $": 1234567,
            },
            ("$1,25", "1,2,3", "€5", "$", "$$5", "--5", "-$-5", "0,126", "12 kg", "nan$x", ""),
        ),
        (
            CellRule("EUR", ",", "."),
            {"1.234,50 EUR": 1234.5, "EUR 7": 7, "1.234": 1234},
            ("1.23", "1,5.0"),
        ),
        (CellRule("%", ".", ""), {"89%": 89, "8.5 %": 8.5, "1e3%": 1000}, ("8,5%", "%", "5‰")),
        (CellRule("", ",", " "), {"1 234,5": 1234.5, "-1 234": -1234, ",5": 0.5}, ("1 23", "1.5")),
    ],
)
def test_numbers_are_parsed_by_their_rule(
    rule: CellRule, numbers: dict[str, float], texts: tuple[str, ...]
) -> None:
    parse = number_parser(rule)
    assert {text: parse(text) for text in numbers} == numbers
    assert [parse(text) for text in texts] == list(texts)
