"""Test the command edge-runtime: output, exit codes, and no traceback."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device import models
from device.streams import GOOD, LABELS, Run, rows_of

FULL = Path("/dev/full")
STATUS = Path("/proc/self/status")


def test_csv_rows_are_predicted_in_order_with_line_numbers(run: Run, bundle_file: Path) -> None:
    code, out, err = run("predict", bundle_file, stdin=GOOD)
    assert (code, err) == (0, "")
    assert rows_of(out) == [
        ["line", "prediction"],
        *([str(n), label] for n, label in zip((2, 3, 4), LABELS, strict=True)),
    ]


def test_the_input_may_follow_the_options(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_bytes(GOOD)
    _, expected, _ = run("predict", bundle_file, rows, "--proba")
    assert run("predict", bundle_file, "--proba", rows) == (0, expected, "")
    assert run("predict", "--proba", bundle_file, rows) == (0, expected, "")
    code, _, err = run("predict", bundle_file, "--proba", rows, "more.csv")
    assert (code, "unrecognized arguments: " in err) == (2, True)


def test_probabilities_stand_beside_the_prediction(run: Run, bundle_file: Path) -> None:
    code, out, _ = run("predict", bundle_file, "--proba", stdin=GOOD)
    head, *rows = rows_of(out)
    assert code == 0
    assert head == ["line", "prediction", *(f"probability_{n}" for n in models.LABELS)]
    expected = models.probabilities([[1, 2, 3], [-1, 0.5, 0], [4, 0, -2]])
    np.testing.assert_allclose(np.array([row[2:] for row in rows], dtype=float), expected)
    _, out, _ = run("predict", bundle_file, "--proba", "--json", stdin=GOOD)
    first = json.loads(out.splitlines()[0])
    assert first["line"] == 2
    assert first["prediction"] == LABELS[0]
    assert list(first["probabilities"]) == list(models.LABELS)


def test_another_method_is_called_by_name(run: Run, bundle_file: Path) -> None:
    _, out, _ = run("predict", bundle_file, "--method", "decision_function", stdin=GOOD)
    head, first, *_ = rows_of(out)
    assert head == ["line", *(f"decision_function.{i}" for i in range(3))]
    np.testing.assert_allclose(np.array(first[1:], dtype=float), models.scores([[1, 2, 3]])[0])
    code, _, err = run("predict", bundle_file, "--method", "transform", stdin=GOOD)
    assert (code, "has predict, predict_proba" in err) == (1, True)


def test_several_targets_get_numbered_columns(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "two.onnx"
    path.write_bytes(models.two_targets().sealed())
    _, out, _ = run("predict", path, "--proba", stdin=b"c,b,a\n3,2,1\n")
    head = rows_of(out)[0]
    assert head[:4] == ["line", "prediction.0", "prediction.1", "probability.0_u"]
    assert head[-1] == "probability.1_7"
    _, out, _ = run("predict", path, "--proba", "--json", stdin=b"c,b,a\n3,2,1\n")
    row = json.loads(out)
    assert len(row["prediction"]) == 2
    assert [list(p) for p in row["probabilities"]] == [["u", "v", "w"], ["False", "True", "7"]]


def test_a_transformer_transforms(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "transformer.onnx"
    path.write_bytes(models.transformer().sealed())
    code, out, _ = run("predict", path, stdin=b"a,b,c\n1,2,3\n")
    assert (code, rows_of(out)[0]) == (0, ["line", "transform.0", "transform.1", "transform.2"])


def test_json_lines_may_be_objects_or_arrays(run: Run, mixed_file: Path) -> None:
    stream = (
        b'{"street": "x", "height": 1.5, "city": "Paris", "children": 2, "smoker": true}\n'
        b"\n"
        b'[null, null, 0, false, "y"]\n'
    )
    code, out, err = run("predict", mixed_file, "--format", "jsonl", stdin=stream)
    assert (code, err) == (0, "")
    expected = models.mixed_answer([(1.5, "Paris", 2, True, "x"), (None, None, 0, False, "y")])
    assert [json.loads(line) for line in out.splitlines()] == [
        {"line": 1, "prediction": expected[0]},
        {"line": 3, "prediction": expected[1]},
    ]


def test_the_file_name_tells_the_format(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    for name in ("rows.JSONL", "rows.ndjson", "rows.json"):
        rows = tmp_path / name
        rows.write_text("[1, 2, 3]\n")
        _, out, _ = run("predict", bundle_file, rows)
        assert json.loads(out) == {"line": 1, "prediction": LABELS[0]}


def test_extra_columns_are_ignored_by_choice(run: Run, bundle_file: Path) -> None:
    stream = b"id,x2,x1,x0,id\nA,3,2,1,B\n"
    arguments = ("predict", bundle_file, "--extra-columns", "ignore")
    code, _, err = run(*arguments, stdin=stream)
    assert (code, "'id' appears twice" in err) == (1, True)
    code, out, _ = run(*arguments, stdin=stream.replace(b",id", b",other"))
    assert (code, rows_of(out)[1]) == (0, ["2", LABELS[0]])
    row = b'{"id": 7, "x0": 1, "x1": 2, "x2": 3}'
    for options, refused in ((("--format", "csv"), b"x0,x1,x2,id\n"), (("--format", "jsonl"), row)):
        _, _, err = run("predict", bundle_file, *options, stdin=refused)
        assert "(--extra-columns ignore)" in err
        assert "extra_columns" not in err
    code, out, _ = run(*arguments, "--format", "jsonl", stdin=row)
    assert (code, json.loads(out)["prediction"]) == (0, LABELS[0])


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
def test_the_chunk_changes_no_answer(run: Run, bundle_file: Path, chunk: int) -> None:
    lines = [f"{i},{i % 5},{-i}" if i % 6 else "x,y,z" for i in range(50)]
    stream = "\n".join(["x0,x1,x2", *lines, ""]).encode()
    code, out, err = run("predict", bundle_file, "--chunk", chunk, stdin=stream)
    valid_rows = [i for i in range(50) if i % 6]
    expected = models.labels([[i, i % 5, -i] for i in valid_rows]).tolist()
    assert code == 1
    assert rows_of(out)[1:] == [[str(i + 2), e] for i, e in zip(valid_rows, expected, strict=True)]
    assert [line.split(":")[0] for line in err.splitlines()[:-1]] == [
        f"line {i + 2}" for i in range(50) if not i % 6
    ]


def test_refused_rows_go_to_a_file_as_json_lines(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    errors = tmp_path / "errors.jsonl"
    stream = GOOD + b"1,,3\n1,2\n"
    code, _, err = run("predict", bundle_file, "--errors", errors, stdin=stream)
    assert code == 1
    assert err == "edge-runtime: 3 rows predicted, 2 refused\n"
    records = [json.loads(line) for line in errors.read_text().splitlines()]
    assert [(row["line"], row["column"]) for row in records] == [(5, "x1"), (6, None)]
    assert all(row["message"] for row in records)


def test_the_output_file_appears_whole(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    code, printed, _ = run("predict", bundle_file, "-o", out, stdin=GOOD + b"bad\n")
    assert (code, printed) == (1, "")
    assert [row[1] for row in rows_of(out.read_text())[1:]] == LABELS
    assert stat.S_IMODE(out.stat().st_mode) & 0o400
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", bundle_file.name}


def test_a_refused_stream_leaves_the_old_output_file(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    assert run("predict", bundle_file, "-o", out, stdin=b"a,b\n1,2\n")[0] == 1
    assert out.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", bundle_file.name}


def test_the_input_may_be_the_output(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(GOOD)
    assert run("predict", bundle_file, path, "-o", path)[0] == 0
    assert [row[1] for row in rows_of(path.read_text())[1:]] == LABELS


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_reported(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    code, _, err = run("predict", bundle_file, "-o", folder / "out.csv", stdin=GOOD)
    assert (code, "Permission denied" in err) == (1, True)


def test_a_missing_folder_or_file_is_reported_in_one_line(
    run: Run, bundle_file: Path, tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    for arguments in (
        ("predict", bundle_file, "-o", absent / "out.csv"),
        ("predict", bundle_file, "--errors", absent / "errors.jsonl"),
        ("predict", bundle_file, absent),
        ("predict", bundle_file, tmp_path),
        ("predict", absent),
        ("info", absent),
        ("check", absent),
        ("info", tmp_path),
    ):
        code, out, err = run(*arguments, stdin=GOOD)
        assert (code, out) == (1, "")
        assert len(err.splitlines()) == 1
        assert str(tmp_path) in err


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [("-o", FULL), ("--errors", FULL)])
def test_a_full_disk_is_reported(run: Run, bundle_file: Path, options: tuple[Any, ...]) -> None:
    code, _, err = run("predict", bundle_file, *options, stdin=GOOD + b"bad\n")
    assert code == 1
    assert "No space left on device" in err


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    call = [sys.executable, "-m", "edge_runtime.cli", *map(str, arguments)]
    return subprocess.run(call, check=False, **options)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_reported_once(bundle_file: Path) -> None:
    with FULL.open("wb") as full:
        result = command("predict", bundle_file, input=GOOD, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert result.stderr == b"edge-runtime: No space left on device\n"


def test_a_closed_pipe_ends_quietly(bundle_file: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        result = command(
            "predict", bundle_file, input=GOOD * 2000, stdout=write, stderr=subprocess.PIPE
        )
    finally:
        os.close(write)
    assert result.returncode == 1
    assert b"Traceback" not in result.stderr
    assert b"Broken" not in result.stderr


def test_a_live_stream_is_predicted_row_by_row(bundle_file: Path, patience: int) -> None:
    call = [sys.executable, "-m", "edge_runtime.cli", "predict", str(bundle_file), "--chunk", "1"]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x0,x1,x2\n1,2,3\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"line,prediction\n"
        assert process.stdout.readline() == f"2,{LABELS[0]}\n".encode()
        process.stdin.close()
        assert process.wait(timeout=20 * patience) == 0


@pytest.mark.skipif(not STATUS.exists(), reason="needs Linux's /proc")
@pytest.mark.native("an emulated process's memory is mostly QEMU's")
def test_a_long_stream_is_read_in_constant_memory(bundle_file: Path) -> None:
    # VmHWM is this process's own peak; getrusage's also counts the parent's before exec.
    source = (
        "import sys; from edge_runtime.cli.main import main; code = main(sys.argv[1:]);"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )

    def peak_kilobytes(rows: int) -> int:
        call = [sys.executable, "-c", source, "predict", str(bundle_file), "-o", "/dev/null"]
        stream = b"x0,x1,x2\n" + b"1,2,3\n" * rows
        result = subprocess.run(call, input=stream, capture_output=True, check=True)
        return int(result.stderr.split()[-1])

    # Kept in memory, 60,000 rows of cells would take 15 MB; a chunk and malloc vary by less than 4.
    assert peak_kilobytes(62_000) - peak_kilobytes(2_000) < 4_000


def test_info_prints_the_manifest(run: Run, mixed_file: Path) -> None:
    code, out, err = run("info", mixed_file)
    assert (code, err) == (0, "")
    for words in ("tiny version 1", "height", "may be missing", "Oslo, Paris", "1.28 or later"):
        assert words in out
    code, out, _ = run("info", mixed_file, "--json")
    described = json.loads(out)
    assert described["schema"]["columns"][0]["name"] == "height"
    assert described["file_bytes"] == mixed_file.stat().st_size


def test_check_prints_the_result_of_every_check(run: Run, bundle_file: Path) -> None:
    code, out, err = run("check", bundle_file)
    assert (code, err) == (0, "")
    assert "3 rows predicted here as by scikit-learn" in out
    code, out, _ = run("check", bundle_file, "--json")
    proved = json.loads(out)
    assert proved["golden_rows"] == 3
    assert proved["outputs"] == ["predict", "predict_proba", "decision_function"]


@pytest.mark.parametrize("name", ["info", "check", "predict"])
def test_a_damaged_bundle_is_refused_in_one_line(run: Run, bundle_file: Path, name: str) -> None:
    raw = bytearray(bundle_file.read_bytes())
    raw[60] ^= 1
    bundle_file.write_bytes(raw)
    code, out, err = run(name, bundle_file, stdin=GOOD)
    assert (code, out) == (1, "")
    assert err.startswith("edge-runtime: SHA-256")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("teleport",),
        ("predict",),
        ("predict", "FILE", "--chunk", "0"),
        ("predict", "FILE", "--chunk", "many"),
        ("predict", "FILE", "--proba", "--method", "predict"),
        ("predict", "FILE", "--method", "fit"),
        ("info", "FILE", "--proba"),
    ],
)
def test_misuse_exits_with_2_and_says_how(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage: edge-runtime" in err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("predcit", "FILE"), "; did you mean predict?"),
        (("trust", "ad", "KEY"), "; did you mean add?"),
        (("predict", "FILE", "--method", "predict_prob"), "; did you mean predict_proba?"),
        (("predict", "FILE", "--probba"), "--probba; did you mean --proba?"),
        (("predict", "FILE", "--Chunk=7"), "--Chunk=7; did you mean --chunk?"),
        (("info", "FILE", "--jsn"), "--jsn; did you mean --json?"),
        (("info", "FILE", "--zzz"), "unrecognized arguments: --zzz"),
    ],
)
def test_a_misspelt_argument_gets_a_suggestion(
    run: Run, arguments: tuple[str, ...], meant: str
) -> None:
    code, _, err = run(*arguments)
    assert (code, err.splitlines()[-1].endswith(meant)) == (2, True)


def test_help_and_version_exit_with_0(run: Run) -> None:
    import edge_runtime

    for arguments in (("--help",), ("predict", "--help"), ("info", "--help")):
        assert run(*arguments)[0] == 0
    assert run("--version") == (0, f"{edge_runtime.__version__}\n", "")


def test_two_names_of_one_file_are_refused(run: Run, bundle_file: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.write_bytes(GOOD)
    (tmp_path / "link.csv").symlink_to(rows)
    bundle = bundle_file.read_bytes()
    for options in (
        (rows, "--errors", rows),
        (rows, "--errors", tmp_path / "link.csv"),
        (rows, "-o", out, "--errors", tmp_path / "." / "out.csv"),
        (rows, "-o", bundle_file),
        (rows, "--errors", bundle_file),
    ):
        code, printed, err = run("predict", bundle_file, *options)
        assert (code, printed, len(err.splitlines())) == (2, "", 1)
        assert "are the same file" in err
    assert (rows.read_bytes(), bundle_file.read_bytes()) == (GOOD, bundle)
    assert not out.exists()
    assert run("predict", bundle_file, rows, "-o", os.devnull, "--errors", os.devnull)[0] == 0


def test_a_closed_standard_output_is_reported(bundle_file: Path, tmp_path: Path) -> None:
    out, rows = tmp_path / "out.csv", tmp_path / "rows.csv"
    rows.write_bytes(GOOD)

    def closed(*arguments: object) -> tuple[int, str]:
        call = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "edge_runtime.cli"]
        result = subprocess.run(
            [*call, *map(str, arguments)], stderr=subprocess.PIPE, text=True, check=False
        )
        return result.returncode, result.stderr

    for arguments in (("info", bundle_file), ("predict", bundle_file, rows), ("trust", "list")):
        code, err = closed(*arguments)
        assert (code, len(err.splitlines())) == (1, 1)
        assert "standard output is closed" in err
    assert closed("predict", bundle_file, rows, "-o", out) == (0, "")
    assert [row[1] for row in rows_of(out.read_text())[1:]] == LABELS
    code, err = closed("predict", bundle_file, tmp_path / "absent", "-o", out)
    assert (code, "No such file" in err, len(err.splitlines())) == (1, True, 1)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "punycode", "idna"])
def test_an_undecodable_stream_is_reported_in_one_line(
    run: Run, bundle_file: Path, encoding: str
) -> None:
    code, _, err = run("predict", bundle_file, "--encoding", encoding, stdin=b"\xff" + GOOD)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "--encoding" in err
