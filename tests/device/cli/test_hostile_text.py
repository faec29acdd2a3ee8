"""Test that no text from a file reaches a terminal, a log or JSON raw."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from device import models
from device.streams import Run
from edge_runtime.bundle.manifest import Requirements
from edge_runtime.cli.console import json_text, printable

ATTACKS = {
    "ESC": "\x1b[2J",
    "CSI": "\x9b2J",
    "NEL": "\x85",
    "DEL": "\x7f",
    "bidi override": "\u202e",
    "bidi isolate": "\u2066",
    "right-to-left mark": "\u200f",
    "line separator": "\u2028",
    "line end": "\nedge-runtime: forged",
    "carriage return": "\rforged",
    "tag": "\U000e0041",
    "zero width": "\u200b",
}


def is_safe(text: str) -> bool:
    return (
        all(line.isprintable() for line in text.split("\n"))
        and "\nedge-runtime: forged" not in text
    )


@pytest.fixture(params=ATTACKS)
def attack(request: pytest.FixtureRequest) -> str:
    return ATTACKS[request.param]


def hostile_file(folder: Path, attack: str) -> Path:
    """Write a bundle with *attack* in every text that the format leaves free."""
    labels = [f"{name}{attack}" for name in models.LABELS]
    parts = models.classifier(labels)
    columns = tuple(
        replace(column, name=f"{column.name}{attack}") for column in parts.manifest.schema.columns
    )
    outputs = tuple(
        replace(output, dtype="<U60") if output.name == "predict" else output
        for output in parts.manifest.outputs
    )
    path = folder / "hostile.onnx"
    path.write_bytes(
        parts.sealed(
            name=f"tiny{attack}",
            outputs=outputs,
            estimator=f"Tiny{attack}()",
            schema=replace(parts.manifest.schema, columns=columns),
            created_by={f"scikit-learn{attack}": f"1.9{attack}"},
            metrics={f"accuracy{attack}": 0.9},
            limits={f"min_accuracy{attack}": 0.9},
        )
    )
    return path


@pytest.mark.parametrize(
    "command", [("info",), ("check",), ("bench", "--seconds", "0.001", "--rows", "1")]
)
def test_commands_escape_what_the_bundle_says(
    run: Run, tmp_path: Path, attack: str, command: tuple[str, ...]
) -> None:
    path = hostile_file(tmp_path, attack)
    for options in ((), ("--json",)):
        _, out, err = run(command[0], path, *command[1:], *options)
        assert is_safe(out)
        assert is_safe(err)
        if options and out:
            assert attack in json.loads(out)["name"]


def test_predict_escapes_messages_and_json(run: Run, tmp_path: Path, attack: str) -> None:
    path = hostile_file(tmp_path, attack)
    names = [f"x{i}{attack}" for i in range(3)]
    rows = "".join(
        f"{json.dumps(dict(zip(names, cells, strict=True)))}\n"
        for cells in ((1, 2, 3), (1, "a", 3))
    )
    code, out, err = run("predict", path, "--format", "jsonl", stdin=rows.encode())
    assert code == 1
    assert is_safe(out)
    assert is_safe(err)
    assert attack in json.loads(out)["prediction"]
    errors = tmp_path / "errors.jsonl"
    run("predict", path, "--format", "jsonl", "--errors", errors, stdin=rows.encode())
    assert is_safe(errors.read_text())
    assert json.loads(errors.read_text())["column"] == names[1]


def test_arguments_and_refusals_are_escaped(run: Run, tmp_path: Path, attack: str) -> None:
    parts = models.classifier()
    path = tmp_path / "old.onnx"
    path.write_bytes(parts.sealed(requires=Requirements({f"a{attack}": 1}, "1.28")))
    for arguments in (
        ("check", path),
        ("info", f"absent{attack}"),
        (f"in{attack}fo", path),
        ("info", path, f"--js{attack}on"),
        ("predict", path, "--method", f"a{attack}"),
        ("predict", path, "--encoding", f"a{attack}"),
        ("trust", "remove", f"a{attack}"),
    ):
        code, out, err = run(*arguments)
        assert code in (1, 2)
        assert is_safe(out + err.replace("\nedge-runtime: error: ", "\n"))


def test_only_a_terminal_gets_labels_escaped(tmp_path: Path) -> None:
    path = hostile_file(tmp_path, "\x1b[2J")
    rows = tmp_path / "rows.csv"
    rows.write_text(",".join(f"x{i}\x1b[2J" for i in range(3)) + "\n1,2,3\n")
    call = [sys.executable, "-m", "edge_runtime.cli", "predict", path, rows]
    assert b"\x1b[2J" in subprocess.run(call, capture_output=True, check=True).stdout
    terminal, end = pty.openpty()
    subprocess.run(call, stdout=end, check=True)
    os.close(end)
    with os.fdopen(terminal, "rb") as stream:
        terminal_text = stream.read1(1000)
    assert b"\x1b" not in terminal_text
    assert rb"\x1b[2J" in terminal_text


@pytest.mark.parametrize("text", ["é", "日本", "🐧", 'a"b\\', ""])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert json_text(text) == json.dumps(text, ensure_ascii=False)


def test_json_is_the_same_value_after_the_filter() -> None:
    text = "".join(map(chr, (*range(0x300), *range(0x2000, 0x2100), 0xFEFF, 0xE0041)))
    for indent in (None, 2):
        assert json.loads(json_text({text: [text]}, indent=indent)) == {text: [text]}
    assert json_text([1], indent=2) == "[\n  1\n]"
