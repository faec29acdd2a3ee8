"""Test that rows read many at once, or by several processes, are read as one by one."""

import io
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device import models
from device.streams import GOOD, LABELS, Run, rows_of
from edge_runtime.cli.line_reader import MAX_LINE_CHARACTERS, PIECE_CHARACTERS, Lines
from edge_runtime.cli.row_chunks import Block, ChunkResult
from edge_runtime.cli.worker_processes import map_in_processes

from edge_runtime import InferenceError, InputError

NUMBERS = [
    *("7", "-7.5", ".5", "5.", "+1e3", "1E-3", "0.30000000000000004", "-0", "007", " 7", "7 "),
    *("", "NA", "nan", "inf", "-inf", "1e999", "1_0", "0x1", "1-2", "--1", "e5", ".", "abc", "1,5"),
    *("9007199254740993", "9007199254740992", "-9007199254740991", "1e16", "9" * 400, "\u0661"),
    *('"7"', '"7', '7"', "true", "True", "1\0", "\x1c1", "\xa01"),
]
TEXTS = [
    "Paris",
    "Oslo",
    "",
    "NA",
    " NA",
    "é",
    '"a, b"',
    '"a ""b"""',
    "a\tb",
    "\ufdd0",
    "null",
    "x" * 9,
]
FLAGS = ["0", "1", "True", "FALSE", "false", "2", "0.0", "1.", "", "yes"]
ENDS = ["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\n  \n"]


def csv_stream(columns: list[list[str]], header: str, seed: int) -> bytes:
    """Rows of mostly good cells, each cell and each line end now and then an odd one."""
    rng = np.random.default_rng(seed)
    odd = [0.0, 0.01, 0.2][seed % 3]
    parts = [header, "\n"]
    for _ in range(40):
        cells = [c[int(rng.integers(len(c)))] if rng.random() < odd else c[0] for c in columns]
        if rng.random() < odd / 4:
            cells = cells[:-1] if rng.random() < 0.5 else [*cells, "1"]
        parts += [",".join(cells), ENDS[int(rng.integers(len(ENDS)))] if odd else "\n"]
    if seed % 2:
        parts.pop()
    return "".join(parts).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("seed", range(12))
def test_csv_chunk_size_changes_no_result(
    run: Run, bundle_file: Path, mixed_file: Path, seed: int
) -> None:
    """A CSV stream with odd lines gives the same output for every --chunk."""
    for file, columns, header in (
        (bundle_file, [NUMBERS] * 3, "x2,x0,x1"),
        (mixed_file, [TEXTS, NUMBERS, TEXTS, NUMBERS, FLAGS], "street,height,city,children,smoker"),
    ):
        stream = csv_stream(columns, header, seed)
        one_by_one = run("predict", file, "--chunk", "1", stdin=stream)
        for options in (("--chunk", "9"), ("--chunk", "1000")):
            assert run("predict", file, *options, stdin=stream) == one_by_one
    assert one_by_one[0] == (1 if " refused" in one_by_one[2] else 0)


JSON_LINES = [
    *('{"x0":1,"x1":2,"x2":3}', "[1,2,3]", "[1,2.5,-3e-7]", '{"x2":3,"x0":1,"x1":2}', "", "  "),
    *("[1,2]", "[1,2,3,4]", '{"x0":1}', "[1,2", "3]", "1,2", "[1,2,3],[1,2,3]", "{", "null", "7"),
    *('{"x0":1,"x0":1,"x1":2,"x2":3}', "[1,2,NaN]", "[1,2,9007199254740993]", '[1,2,"3"]'),
    *("[" * 2000, "[1,2," + "9" * 5000 + "]", "-Infinity", '"-Infinity"', "]["),
    *("[1,2,3],-Infinity,[1,2,3]", r'[1,2,3],"\u002dInfinity",[1,2,3]', "[1,2,-Infinity]", "[1,2"),
]


@pytest.mark.parametrize("seed", range(12))
def test_json_lines_chunk_size_changes_no_result(run: Run, bundle_file: Path, seed: int) -> None:
    """JSON lines with odd rows give the same output for every --chunk and --jobs."""
    rng = np.random.default_rng(seed)
    kinds = [JSON_LINES[:1], JSON_LINES[1:3], JSON_LINES][seed % 3]
    lines = [kinds[int(rng.integers(len(kinds)))] for _ in range(30)]
    stream = "\n".join(lines).encode()
    command = ("predict", bundle_file, "--format", "jsonl")
    one_by_one = run(*command, "--chunk", "1", stdin=stream)
    assert run(*command, "--chunk", "1000", stdin=stream) == one_by_one
    assert run(*command, "--chunk", "11", "--jobs", "2", stdin=stream) == one_by_one


@pytest.mark.parametrize("mark", ["edge-runtime: betwee\\u006e two lines", "\\u002dInfinity"])
def test_broken_json_lines_stay_broken_beside_any_neighbour(
    run: Run, mixed_file: Path, mark: str
) -> None:
    """Two broken JSON lines never become rows because of the text of a neighbour."""
    row = '[1.5,"Paris",2,true,"x"]'
    lines = [f'{row},"{mark}",{row}', "[1.5", '2,true,"x"]', *([row] * 7)]
    stream = "\n".join(lines).encode()
    code, out, err = run("predict", mixed_file, "--format", "jsonl", stdin=stream)
    assert (code, err.splitlines()[-1]) == (1, "edge-runtime: 7 rows predicted, 3 refused")
    assert [json.loads(line)["line"] for line in out.splitlines()] == list(range(4, 11))


@pytest.mark.parametrize("chunk", [1, 8, 1000])
def test_the_lines_after_a_stray_quote_keep_their_order(
    run: Run, bundle_file: Path, chunk: int
) -> None:
    lines = ["x0,x1,x2", *(["1,2,3"] * 4000)]
    lines[1000] = '"1,2,3'  # the last of a chunk of 1000, and of 8
    stream = "\n".join(lines).encode()
    code, out, _ = run("predict", bundle_file, "--chunk", chunk, stdin=stream)
    assert code == 1
    assert [int(row[0]) for row in rows_of(out)[1:]] == [*range(2, 1001), *range(1002, 4002)]


@pytest.mark.parametrize("options", [(), ("--proba",), ("--method", "decision_function")])
def test_numbers_are_written_as_csv_writes_them(
    run: Run, bundle_file: Path, options: tuple[str, ...]
) -> None:
    X = np.random.default_rng(0).normal(size=(300, 3))
    text = "x0,x1,x2\n" + "".join(f"{a!r},{b!r},{c!r}\n" for a, b, c in X.tolist())
    code, out, err = run("predict", bundle_file, *options, stdin=text.encode())
    assert (code, err) == (0, "")
    header, *rows = rows_of(out)
    assert [int(row[0]) for row in rows] == list(range(2, 302))
    if "--method" not in options:
        assert [row[1] for row in rows] == models.labels(X).tolist()
    if options:
        method = models.probabilities if "--proba" in options else models.scores
        numbers = np.array([row[-3:] for row in rows], dtype=float)
        np.testing.assert_allclose(numbers, method(X), rtol=1e-12)
        assert len(header) == len(rows[0])


def test_labels_that_need_quotes_have_them(run: Run, tmp_path: Path) -> None:
    names = ('a "b"', "a, b", "a\nb")
    path = tmp_path / "odd.onnx"
    path.write_bytes(models.classifier(names).sealed())
    code, out, _ = run("predict", path, stdin=GOOD)
    X = [[1, 2, 3], [-1, 0.5, 0], [4, 0, -2]]
    assert [row[1] for row in rows_of(out)[1:]] == models.labels(X, names).tolist()
    assert code == 0


@pytest.mark.parametrize("options", [("--proba",), ("--method", "predict_proba")])
def test_a_header_alone_names_every_column(
    run: Run, bundle_file: Path, options: tuple[str, ...]
) -> None:
    code, out, err = run("predict", bundle_file, *options, stdin=b"x0,x1,x2\n")
    assert (code, err) == (0, "")
    assert out.strip().split(",")[-3:] == [f"probability_{name}" for name in LABELS_IN_ORDER]


LABELS_IN_ORDER = list(models.LABELS)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_processes_keep_row_order_and_every_refusal(run: Run, bundle_file: Path, jobs: int) -> None:
    lines = [f"{i % 7},{i % 3},-{i % 5}" for i in range(2000)]
    lines[100], lines[1500], lines[1999] = "1,oops,3", '"1",2,3', "1,2"
    stream = "\n".join(["x0,x1,x2", *lines]).encode()
    code, out, err = run("predict", bundle_file, "--jobs", jobs, "--chunk", 64, stdin=stream)
    assert code == 1
    assert [line.split(":")[0] for line in err.splitlines()] == [
        "line 102",
        "line 2001",
        "edge-runtime",
    ]
    numbers = [int(row[0]) for row in rows_of(out)[1:]]
    assert numbers == sorted({*range(2, 2001)} - {102})


@pytest.mark.parametrize("jobs", ["0", "65", "x", "-1"])
def test_an_invalid_number_of_processes_is_misuse(run: Run, bundle_file: Path, jobs: str) -> None:
    assert run("predict", bundle_file, f"--jobs={jobs}", stdin=GOOD)[0] == 2


def test_rows_before_a_broken_stream_are_predicted() -> None:
    def chunks() -> Any:
        for i in range(5):
            yield Block(i, [str(i)])
        raise InputError("broken")

    texts: list[str] = []

    def collect() -> None:
        for result in map_in_processes(lambda block: ChunkResult(block[1][0], 1, []), chunks(), 2):  # type: ignore[arg-type]
            texts.append(result.text)

    with pytest.raises(InputError, match="broken"):
        collect()
    assert texts == ["0", "1", "2", "3", "4"]


def test_a_process_that_dies_or_fails_raises() -> None:
    def die(block: Any) -> ChunkResult:
        if block.first_line == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return ChunkResult("", 1, [])

    def fail(block: Any) -> ChunkResult:
        raise InferenceError(f"of {block.first_line}")

    blocks = [Block(i, [""]) for i in range(8)]
    with pytest.raises(InferenceError, match="has ended too early"):
        list(map_in_processes(die, blocks, 2))
    with pytest.raises(InferenceError, match="of 0"):
        list(map_in_processes(fail, blocks, 2))


def test_an_idle_process_that_dies_raises_after_earlier_results() -> None:
    """If an idle worker dies, the results of the others come first, then the error."""

    def process_id(block: Any) -> ChunkResult:
        return ChunkResult(str(os.getpid()), 1, [])

    texts: list[str] = []

    def collect() -> None:
        for result in map_in_processes(process_id, [Block(i, [""]) for i in range(9)], 2):
            texts.append(result.text)
            if len(texts) == 1:  # it is idle now
                os.kill(int(result.text), signal.SIGKILL)
                while len(multiprocessing.active_children()) > 1:
                    time.sleep(0.001)

    with pytest.raises(InferenceError, match="has ended too early"):
        collect()
    assert len(set(texts)) == len(texts) == 2


def test_a_reader_that_leaves_ends_all_processes(bundle_file: Path) -> None:
    source = (
        "import sys; from edge_runtime.cli.main import main; code = main(sys.argv[1:]);"
        "import multiprocessing; print(len(multiprocessing.active_children()), file=sys.stderr);"
        "sys.exit(code)"
    )
    read, write = os.pipe()
    os.close(read)
    call = [sys.executable, "-c", source, "predict", str(bundle_file), "--jobs", "2"]
    result = subprocess.run(
        call, input=GOOD * 5000, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (1, b"0\n")


def test_closed_stderr_puts_no_note_among_the_results(bundle_file: Path) -> None:
    call = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "edge_runtime.cli"]
    stream = GOOD + b"1,oops,3\n"
    result = subprocess.run(
        [*call, "predict", str(bundle_file)], input=stream, capture_output=True, check=False
    )
    assert result.returncode == 1
    assert [row[1] for row in rows_of(result.stdout.decode())[1:]] == LABELS
    result = subprocess.run([*call, "info", "absent"], capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (1, b"")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("length", [0, 1, PIECE_CHARACTERS - 2, PIECE_CHARACTERS - 1])
@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_lines_of_every_length_keep_their_numbers(end: str, length: int, pieces: int) -> None:
    long = "x" * (length + pieces * PIECE_CHARACTERS)
    texts = [f"{text}{end}" for text in ("a", long, "b", "", "c")]
    stream = io.StringIO("".join(texts), newline="")
    lines = Lines(stream)
    block = lines.take(2)
    numbered_lines = [] if block is None else list(enumerate(block[1], block[0]))
    assert [*numbered_lines, *lines] == list(enumerate(texts, 1))
    assert list(Lines(texts, 5)) == list(enumerate(texts, 5))


def test_an_endless_line_keeps_only_its_number() -> None:
    texts = ["a\n", "x" * (3 * MAX_LINE_CHARACTERS) + "\r\n", "b\n", "y" * MAX_LINE_CHARACTERS]
    lines = Lines(io.StringIO("".join(texts), newline=""))
    assert lines.take(100) is None
    assert list(lines) == [(1, "a\n"), (2, None), (3, "b\n"), (4, texts[3])]


def test_lines_can_be_pushed_back() -> None:
    lines = Lines(io.StringIO("a\nb\nc\n"))
    block = lines.take(2)
    assert block == (1, ["a\n", "b\n"])
    lines.push_back([(1, "a\n"), (2, "b\n")])
    assert lines.take(1) is None
    assert [number for number, _ in itertools.islice(lines, 3)] == [1, 2, 3]
    assert lines.take(1) is None
