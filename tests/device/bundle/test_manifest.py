"""A manifest that edge-pipeline did not write is refused before any of it is used."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from device.models import Parts
from device.sealing import sealed
from edge_runtime.bundle.json_reader import MAX_DEPTH, read_json
from edge_runtime.bundle.layout import pack, unpack
from edge_runtime.bundle.manifest import MAX_MANIFEST_BYTES, Manifest

import edge_runtime
from edge_runtime import IntegrityError


def test_the_tests_seal_a_manifest_as_pack_does(parts: Parts) -> None:
    assert sealed(parts.graph, parts.manifest.to_bytes()) == parts.sealed()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not canonical JSON"),
        (b"null", "of a wrong type"),
        (b"[1, 2", "not canonical JSON"),
        (b'{"name":"a","name":"b"}', "a key appears twice"),
        (b'{"x":NaN}', "NaN is not JSON"),
        (b'{"x":-Infinity}', "-Infinity is not JSON"),
        (b'{"x":1e999}', "no finite number"),
        (b'{"x":' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"x":"\\ud800"}', "an escape"),
        (b'{"x":"\\\\\\u2028"}', "an escape"),
        (b'{"x":"\xff"}', "not canonical JSON"),
        (b'{"x":"\xed\xa0\x80"}', "not canonical JSON"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested 65 deep"),
        (b"[" * 400_000, "nested 400000 deep"),
        (b"[" * 1_000_000, "500,000 lists and objects"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested 100000 deep"),
        (b'["' + b"\\" * 100_001, "not canonical JSON"),
    ],
)
def test_text_that_is_no_manifest_is_refused(parts: Parts, text: bytes, words: str) -> None:
    with pytest.raises(IntegrityError, match=words) as caught:
        edge_runtime.load(sealed(parts.graph, text))
    assert len(str(caught.value)) < 1000


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    for text in ("[" * 500, '"[' * 100, "\\[" * 100, '\\"[' * 99, "\x00[" * 99):
        raw = json.dumps({"a": [text]}, ensure_ascii=False).encode()
        assert read_json(raw, name="this") == {"a": [text]}


def test_a_manifest_beyond_its_limit_is_not_parsed(parts: Parts) -> None:
    with pytest.raises(IntegrityError, match="this runtime reads up to"):
        edge_runtime.load(sealed(parts.graph, b" " * (MAX_MANIFEST_BYTES + 1)))


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown field": lambda m: m.update(more=1),
    "missing field": lambda m: m.pop("limits"),
    "name": lambda m: m.update(name=7),
    "version 0": lambda m: m.update(version=0),
    "version true": lambda m: m.update(version=True),
    "version 1.0": lambda m: m.update(version=1.0),
    "created_by": lambda m: m.update(created_by={"numpy": 2}),
    "metrics of text": lambda m: m.update(metrics={"accuracy": "1.0"}),
    "metrics of lists": lambda m: m.update(metrics={"accuracy": [1.0]}),
    "metrics of bools": lambda m: m.update(metrics={"accuracy": True}),
    "limits": lambda m: m.update(limits={"rows": None}),
    "baseline": lambda m: m.update(baseline={"x0": [1.0]}),
    "classes": lambda m: m.update(classes={"predict": "abc"}),
    "classes of dicts": lambda m: m.update(classes={"predict": [{}]}),
    "no outputs": lambda m: m.update(outputs=[]),
    "output dtype": lambda m: m["outputs"][0].update(dtype="O,O"),
    "output item": lambda m: m["outputs"][0].update(item=-1),
    "output method": lambda m: m["outputs"][0].update(method="__init__"),
    "golden rows": lambda m: m["golden"].update(rows=[7]),
    "golden answers": lambda m: m["golden"].update(answers={"predict": {"0": 1}}),
    "golden answer": lambda m: m["golden"].update(answers={"predict": [{}]}),
    "opsets": lambda m: m["requires"].update(opsets={"": "21"}),
    "opset true": lambda m: m["requires"].update(opsets={"": True}),
    "parity rows": lambda m: m["parity"]["outputs"]["predict"].update(rows=-1),
    "tolerance": lambda m: m["parity"].update(tolerance="none"),
    "column type": lambda m: m["schema"]["columns"][0].update(type="object"),
    "column range": lambda m: m["schema"]["columns"][0].update(minimum="0"),
    "no columns": lambda m: m["schema"].update(columns=[]),
    "columns of one name": lambda m: m["schema"]["columns"][0].update(name="x1"),
    "kind": lambda m: m["schema"].update(kind="pickle"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_value_of_another_type_is_refused(parts: Parts, name: str) -> None:
    value = copy.deepcopy(parts.manifest.to_json())
    CHANGES[name](value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    with pytest.raises(IntegrityError, match="manifest"):
        edge_runtime.load(sealed(parts.graph, text.encode()))


def test_a_manifest_reads_back_as_it_was_written(parts: Parts) -> None:
    assert Manifest.from_bytes(parts.manifest.to_bytes()) == parts.manifest
    odd = replace(parts.manifest, name='a"\\\n\x00\ud7ff\ufdd0\U0001f600', version=2**62)
    assert Manifest.from_bytes(odd.to_bytes()) == odd
    assert unpack(pack(parts.graph, odd)).manifest == odd


def test_a_models_name_cannot_control_the_terminal(
    parts: Parts,
    tmp_path: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edge_runtime.cli.main import main

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    path = tmp_path / "m.onnx"
    path.write_bytes(parts.sealed(name="\x1b]0;owned\x07\x1b[2J\u202e", estimator="\x9b31m"))
    for command in ("info", "check"):
        assert main([command, str(path)]) == 0
        printed = capsys.readouterr().out.replace("\n", "")
        assert printed.isprintable()
