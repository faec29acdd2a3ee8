"""``edge-runtime predict`` on rows of text, dicts and lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from device.vectorizers.test_counter import sums, text_model
from edge_runtime.bundle.schema import Column, Schema
from edge_runtime.vectorizers.specification import Derived, Entries, Items, Vocabulary

Run = Callable[..., tuple[int, str, str]]


def predictions(out: str) -> list[float]:
    return [json.loads(line)["prediction"] for line in out.splitlines()]


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.onnx"
    path.write_bytes(text_model().sealed())
    return path


def one_column(tmp_path: Path, kind: Any, type_: Any, reading: Any, golden: Any) -> Path:
    block = Derived("row", reading, Vocabulary(("a", "b")))
    schema = Schema(kind, (Column("row", type_),), (block,))
    path = tmp_path / f"{kind}.onnx"
    path.write_bytes(sums(schema, [[golden]], [1.0]).sealed())
    return path


def test_texts_are_read_from_csv_and_from_json_lines(run: Run, text_file: Path) -> None:
    csv = 'text\n"a cat, a dog"\nemu\n'
    code, out, _ = run("predict", text_file, "-", "--json", stdin=csv.encode())
    assert (code, predictions(out)) == (0, [2, 0])
    lines = '"cat dog"\n{"text": "dog"}\n["cat cat"]\n'
    code, out, _ = run("predict", text_file, "-", "--format", "jsonl", stdin=lines.encode())
    assert (code, predictions(out)) == (0, [2, 1, 2])


def test_json_objects_and_arrays_are_rows_of_dicts_and_lists(run: Run, tmp_path: Path) -> None:
    dicts = one_column(tmp_path, "dicts", "dict", Entries("=", True), {"a": 1})
    lines = '{"a": 2.5}\n{}\n["a"]\n{"b": 1, "c": "x"}\n'
    code, out, err = run("predict", dicts, "-", "--format", "jsonl", stdin=lines.encode())
    assert (code, predictions(out)) == (1, [2.5, 0, 1])
    assert "line 3: column 'row': expected a dict, found list" in err
    lists = one_column(tmp_path, "lists", "list", Items(), ["a"])
    lines = '["a"]\n["b", "a", "a"]\n[["a"]]\n[]\n"ab"\n'
    code, out, err = run("predict", lists, "-", "--format", "jsonl", stdin=lines.encode())
    assert (code, predictions(out)) == (1, [1, 3, 0])
    assert "line 3: column 'row': expected a list of labels" in err
    assert "line 5: column 'row': expected a list, found str" in err


def test_csv_of_dicts_is_refused_with_a_hint_at_json_lines(run: Run, tmp_path: Path) -> None:
    dicts = one_column(tmp_path, "dicts", "dict", Entries("=", True), {"a": 1})
    code, _, err = run("predict", dicts, "-", stdin=b"row\n3\n")
    assert code == 1
    assert "--format jsonl" in err


def test_info_and_check_accept_models_of_texts_and_lists(
    run: Run, text_file: Path, tmp_path: Path
) -> None:
    lists = one_column(tmp_path, "lists", "list", Items(), ["a"])
    for path in (text_file, lists):
        assert run("check", path)[0] == 0
        code, out, _ = run("info", path)
        assert code == 0
        assert path.stem in out or "text" in out
