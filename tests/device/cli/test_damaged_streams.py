"""Test appended and damaged streams: every row is predicted once, or reported once."""

import errno
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from device import models
from device.models import Parts, manifest
from device.streams import GOOD, Run, rows_of
from device.tiny_onnx import Graph
from edge_runtime.bundle.schema import Column, Schema

import edge_runtime

ALL_WAYS = [
    ("--chunk", "1"),
    ("--chunk", "9"),
    ("--chunk", "1000"),
    ("--chunk", "9", "--jobs", "2"),
]


def texts_model() -> Parts:
    """Three texts a, b, c; predict is 1 where b is "yes"."""
    graph = Graph(
        [("strings", "string", [None, 3])],
        [("predict", "int64", [None])],
        {"yes": np.array(["yes"]), "b": np.array([1]), "flat": np.array([-1])},
    )
    graph.node("Gather", ["strings", "b"], "column", axis=1).node(
        "Equal", ["column", "yes"], "same"
    )
    graph.node("Cast", ["same"], "hit", to=7).node("Reshape", ["hit", "flat"], "predict")
    schema = Schema("table", tuple(Column(name, "string") for name in "abc"))
    rows = [["no", "yes", "no"], ["yes", "no", "no"]]
    return Parts(
        graph.to_bytes(), manifest(schema, [("predict", "int64", None)], rows, {"predict": [1, 0]})
    )


@pytest.fixture
def texts_file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.onnx"
    path.write_bytes(texts_model().sealed())
    return path


def predictions(text: str) -> dict[int, str]:
    return {int(row[0]): row[1] for row in rows_of(text)[1:]}


@pytest.mark.parametrize("options", ALL_WAYS)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_repeated_header_is_skipped_and_counted(
    run: Run, texts_file: Path, options: tuple[str, ...], mark: str
) -> None:
    lines = [
        "a,b,c",
        *["no,yes,no"] * 30,
        f"{mark}a,b,c",
        *["no,no,yes"] * 30,
        '"a",b,c',
        "x,yes,z",
    ]
    stream = "".join(f"{line}\n" for line in lines).encode()
    code, out, err = run("predict", texts_file, *options, stdin=stream)
    assert (code, err) == (0, "edge-runtime: 2 lines repeat the header, and got no prediction\n")
    rows = predictions(out)
    assert [*rows] == [*range(2, 32), *range(33, 63), 64]
    assert [rows[2], rows[33], rows[64]] == ["1", "0", "1"]


@pytest.mark.parametrize("options", ALL_WAYS)
def test_rows_follow_a_header_in_another_order(
    run: Run, texts_file: Path, options: tuple[str, ...]
) -> None:
    """Files with other orders of columns, appended: each row is read by the header above it."""
    lines = []
    expected = {}
    for order in itertools.permutations("abc"):
        lines.append(",".join(order))
        for _ in range(20):
            cells = {"a": "yes", "b": "no", "c": "yes"}
            cells["b"] = "yes" if len(lines) % 3 else "no"
            lines.append(",".join(cells[name] for name in order))
            expected[len(lines)] = "1" if cells["b"] == "yes" else "0"
    stream = "".join(f"{line}\n" for line in lines).encode()
    code, out, err = run("predict", texts_file, *options, stdin=stream)
    assert (code, predictions(out)) == (0, expected)
    assert "5 lines repeat the header" in err


@pytest.mark.parametrize("options", ALL_WAYS)
def test_numbers_follow_a_header_in_another_order(
    run: Run, bundle_file: Path, options: tuple[str, ...]
) -> None:
    lines = ["x0,x1,x2", *["1,2,3"] * 20, "x2,x1,x0", *["3,2,1"] * 20]
    stream = "".join(f"{line}\n" for line in lines).encode()
    code, out, _ = run("predict", bundle_file, *options, stdin=stream)
    expected = models.labels([[1, 2, 3]])[0]
    assert (code, set(predictions(out).values())) == (0, {expected})


@pytest.mark.parametrize("options", ALL_WAYS)
@pytest.mark.parametrize("header", ["a,b,d", "a,c,d,b,e", "b,a"])
def test_rows_under_a_header_that_does_not_fit_are_refused(
    run: Run, texts_file: Path, options: tuple[str, ...], header: str
) -> None:
    width = header.count(",") + 1
    lines = ["a,b,c", *["no,yes,no"] * 20, header, *[",".join(["no"] * width)] * 20]
    lines += ["c,b,a", "no,yes,no"]
    stream = "".join(f"{line}\n" for line in lines).encode()
    code, out, err = run("predict", texts_file, *options, stdin=stream)
    assert code == 1
    assert [*predictions(out)] == [*range(2, 22), 44]
    messages = err.splitlines()
    assert [message.split(":")[0] for message in messages[:21]] == [
        f"line {n}" for n in range(22, 43)
    ]
    assert "is a header that does not fit the model" in messages[0]


@pytest.mark.parametrize("options", ALL_WAYS)
@pytest.mark.parametrize("order", [*itertools.permutations("abc")])
def test_a_header_glued_to_a_row_still_counts(
    run: Run, texts_file: Path, options: tuple[str, ...], order: tuple[str, ...]
) -> None:
    """Of two files, the first without a line end, only the row that is glued is refused."""
    row = ",".join("yes" if name == "b" else "no" for name in order)
    first = "a,b,c\n" + "no,no,yes\n" * 20 + "no,no,yes"
    stream = first + ",".join(order) + "\n" + f"{row}\n" * 20
    code, out, err = run("predict", texts_file, *options, stdin=stream.encode())
    expected = {**dict.fromkeys(range(2, 22), "0"), **dict.fromkeys(range(23, 43), "1")}
    assert (code, predictions(out)) == (1, expected)
    assert err.startswith("line 22: a row and a header are on one line")


def test_a_text_may_end_with_the_name_of_its_column(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(models.text().sealed())
    stream = b"text\na long text\nspam\ntext\nthe text\n"
    for options in ALL_WAYS:
        code, out, err = run("predict", path, *options, stdin=stream)
        assert (code, predictions(out)) == (0, {2: "0", 3: "1", 5: "0"})
        assert "1 line repeats the header" in err


def test_a_header_of_numbers_is_no_row(run: Run, tmp_path: Path) -> None:
    """Where the names are numbers, a line that equals the header may be a row: it is refused."""
    schema = Schema("array", tuple(Column(name, "float64") for name in "012"))
    path = tmp_path / "numbers.onnx"
    path.write_bytes(models.classifier().sealed(schema=schema))
    for options in ALL_WAYS:
        stream = "0,1,2\n" + "2,1,0\n" * 20 + "0,1,2\n" + "1,2,3\n" * 20
        code, out, err = run("predict", path, *options, stdin=stream.encode())
        assert (code, len(predictions(out))) == (1, 40)
        assert err.startswith("line 22: the line equals the header")


@pytest.mark.parametrize("options", ALL_WAYS)
def test_a_nul_in_a_text_is_refused(run: Run, texts_file: Path, options: tuple[str, ...]) -> None:
    lines = ["a,b,c", *["no,yes,no"] * 20, "\0\0\0\0no,yes,no", "no,\0,no", "\0" * 50, "no,yes,no"]
    stream = "".join(f"{line}\n" for line in lines).encode()
    code, out, err = run("predict", texts_file, *options, stdin=stream)
    assert (code, [*predictions(out)]) == (1, [*range(2, 22), 25])
    assert [line.split(":")[0] for line in err.splitlines()[:3]] == [
        "line 22",
        "line 23",
        "line 24",
    ]
    assert "column 'a': expected text, found a NUL character" in err
    json_lines = '["no","yes","no"]\n' * 20 + '["no","y\\u0000","no"]\n'
    code, out, err = run(
        "predict", texts_file, "--format", "jsonl", *options, stdin=json_lines.encode()
    )
    assert (code, len(out.splitlines())) == (1, 20)
    assert "line 21: not a JSON row: a text holds a NUL character" in err


@pytest.mark.parametrize("options", ALL_WAYS)
def test_a_last_line_without_end_is_noted(
    run: Run, bundle_file: Path, options: tuple[str, ...]
) -> None:
    code, out, err = run("predict", bundle_file, *options, stdin=GOOD + b"1,2,3")
    assert (code, len(rows_of(out))) == (0, 5)
    assert err.startswith("edge-runtime: line 5, the last, has no line end")
    for whole in (b"", b'1,2,"3"', b"1,2,3\r\n", b"\n \n "):
        assert run("predict", bundle_file, *options, stdin=GOOD + whole)[2] == ""
    code, _, err = run("predict", bundle_file, *options, stdin=GOOD + b"1,2")
    assert (code, "no line end" in err) == (1, False)


def test_refused_rows_are_flushed_with_the_predictions(bundle_file: Path, tmp_path: Path) -> None:
    """A power cut costs no refusal whose neighbours were written."""
    errors = tmp_path / "errors.jsonl"
    call = [sys.executable, "-m", "edge_runtime.cli", "predict", str(bundle_file)]
    call += ["--chunk", "1", "--errors", str(errors)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x0,x1,x2\nbad,2,3\n1,2,3\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"line,prediction\n"
        assert process.stdout.readline().startswith(b"3,")
        assert json.loads(errors.read_text())["line"] == 2
        process.kill()


def one_row_model() -> Parts:
    """Predicts one row at a time; a batch fails."""
    parts = models.classifier()
    graph = Graph(
        [("numbers", "float64", [None, 3])],
        [("predict", "string", [None])],
        {"W": models.WEIGHTS, "b": models.BIAS, "labels": np.array(models.LABELS)},
    )
    graph.initializers["shape"] = np.array([1, 3])  # type: ignore[index]
    graph.node("Reshape", ["numbers", "shape"], "row").node("MatMul", ["row", "W"], "s")
    graph.node("Add", ["s", "b"], "scores").node("ArgMax", ["scores"], "best", axis=1, keepdims=0)
    graph.node("Gather", ["labels", "best"], "predict")
    outputs = [("predict", "<U9", None)]
    return Parts(
        graph.to_bytes(),
        manifest(parts.manifest.schema, outputs, [[1.0, 2.0, 3.0]], {"predict": ["Gentoo"]}),
    )


@pytest.mark.parametrize("options", ALL_WAYS)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_batch_that_fails_is_halved_down_to_rows(
    run: Run, tmp_path: Path, options: tuple[str, ...], form: str
) -> None:
    path = tmp_path / "one_row.onnx"
    path.write_bytes(one_row_model().sealed())
    X = np.random.default_rng(0).normal(size=(40, 3))
    rows = [json.dumps(row) for row in X.tolist()]
    rows[7], rows[33] = '["a", 1, 2]', "[1, 2]"
    if form == "csv":
        rows = ["x0,x1,x2", *(row.strip("[]").replace('"', "").replace(" ", "") for row in rows)]
    stream = "".join(f"{row}\n" for row in rows).encode()
    code, out, err = run("predict", path, "--format", form, *options, stdin=stream)
    assert code == 1
    header = form == "csv"
    labels = predictions(out) if header else {r["line"]: r["prediction"] for r in _records(out)}
    expected = dict(enumerate(models.labels(X).tolist(), 1 + header))
    del expected[8 + header], expected[34 + header]
    assert [*labels.items()] == [*expected.items()]
    assert [line.split(":")[0] for line in err.splitlines()[:2]] == [
        f"line {8 + header}",
        f"line {34 + header}",
    ]


def _records(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_row_that_crosses_memory_costs_itself_alone(
    run: Run, bundle_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = edge_runtime.Model.predict

    def fail_on_batches(model: edge_runtime.Model, X: object) -> object:
        predicted = predict(model, X)  # type: ignore[arg-type]
        if len(predicted) > 1:
            raise MemoryError
        return predicted

    monkeypatch.setattr(edge_runtime.Model, "predict", fail_on_batches)
    code, out, err = run("predict", bundle_file, stdin=GOOD)
    assert (code, err, len(rows_of(out))) == (0, "", 4)


@pytest.mark.parametrize("call", ["fchmod", "fchown", "fsync"])
def test_a_file_system_without_modes_takes_the_output(
    run: Run, bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """FAT and exFAT refuse fchmod and fchown; some network file systems have no fsync."""

    def refuse(*arguments: object) -> None:
        code = errno.EINVAL if call == "fsync" else errno.EPERM
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refuse)
    out = tmp_path / "out.csv"
    for _ in range(2):
        assert run("predict", bundle_file, "-o", out, stdin=GOOD) == (0, "", "")
        assert len(rows_of(out.read_text())) == 4


def test_a_full_disk_at_the_end_is_still_an_error(
    run: Run, bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run("predict", bundle_file, "-o", tmp_path / "out.csv", stdin=GOOD)
    assert (code, "No space left" in err) == (1, True)


LINES = [
    *["no,yes,no", "yes,no,yes"] * 6,
    *("a,b,c", "c,a,b", "b,c,a", "\ufeffa,b,c", '"a",b,c', "a,b,d", "a,b", "a,c,b,e"),
    *(
        "no,yes",
        "no,yes,no,no",
        "",
        "   ",
        "n\0,yes,no",
        '"no,yes,no',
        '"n""o",yes,"no"',
        "NA,yes,x",
    ),
    *('"two\nlines",yes,no', "a,yes,no", "a,b,yes", "NaN", "\0" * 9, "no,b,no"),
]


@pytest.mark.parametrize("seed", range(8))
def test_every_line_is_accounted_for_in_every_way(run: Run, texts_file: Path, seed: int) -> None:
    """Every row is predicted or refused once, in order, whatever --chunk and --jobs are."""
    rng = np.random.default_rng(seed)
    odd = [0.02, 0.1, 0.5, 1.0][seed % 4]
    lines = ["a,b,c"]
    for _ in range(120):
        lines.append(LINES[int(rng.integers(len(LINES)))] if rng.random() < odd else LINES[0])
    stream = "".join(f"{line}\n" for line in lines).encode()
    results = [run("predict", texts_file, *options, stdin=stream) for options in ALL_WAYS]
    assert all(result == results[0] for result in results)
    _, out, err = results[0]
    refused = [int(m.split(":")[0][5:]) for m in err.splitlines() if m.startswith("line ")]
    predicted = [*predictions(out)]
    assert refused == sorted(set(refused))
    assert predicted == sorted(set(predicted))
    assert not set(refused) & set(predicted)
    total = len(stream.decode().splitlines())
    skipped = set(range(2, total + 1)) - set(refused) - set(predicted)
    texts = stream.decode().split("\n")
    for number in skipped:
        names = texts[number - 1].lstrip("\ufeff").replace('"', "").split(",")
        is_second_line = texts[number - 1].startswith("lines")
        assert sorted(names) == ["a", "b", "c"] or not "".join(names).strip() or is_second_line
