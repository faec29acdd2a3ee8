"""Run the commands: results on stdout, progress on stderr, exit codes, no traceback."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from edge_pipeline.build_from_recipe import build
from edge_pipeline.cli.main import cli

COMMON_OPTIONS = {"--debug", "--help", "--verbose"}
"""Documented once, at the top of the page."""

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


def read_until_closed(terminal: int) -> str:
    """Read what programs wrote to a terminal whose other end is closed, and close it."""
    output = b""
    while True:
        try:
            output += os.read(terminal, 4096)
        except OSError:  # Linux reports the closed end so
            os.close(terminal)
            return output.decode()


@pytest.fixture
def bundle(recipe_file: Path) -> Path:
    return build(recipe_file, recipe_file.parent / "boats.onnx").path


@pytest.mark.slow
def test_training_the_line_prints_2_and_0(root: Path, tmp_path: Path) -> None:
    result = run("build", root / "models/linear", "-o", tmp_path / "linear.onnx")
    assert result.exit_code == 0
    assert re.search(r"^coefficient x +2\.00$", result.stdout, re.MULTILINE)
    assert re.search(r"^intercept +0\.00$", result.stdout, re.MULTILINE)
    assert f"{tmp_path / 'linear.onnx'}" in result.stdout


@pytest.mark.slow
def test_build_shows_the_loss_of_each_epoch_on_stderr(root: Path, tmp_path: Path) -> None:
    result = run("build", root / "models/digits", "-o", tmp_path / "digits.onnx")
    losses = [float(text) for text in re.findall(r"epoch +\d+ +loss ([\d.]+)", result.stderr)]
    assert len(losses) > 10
    assert losses[-1] < losses[0] / 10
    assert "epoch" not in result.stdout.replace(f"{len(losses)} epochs", "")


@pytest.mark.slow
def test_stages_are_plain_lines_without_a_terminal(recipe_file: Path, tmp_path: Path) -> None:
    result = run("build", recipe_file, "-o", tmp_path / "m.onnx")
    names = [re.split(r" {2,}", line)[0] for line in result.stderr.splitlines()]
    assert names == [
        "reading the rows",
        "training",
        "converting to ONNX",
        "comparing with scikit-learn",
        "sealing",
        "writing the report",
        f"next: edge-runtime check {tmp_path / 'm.onnx'}",
    ]
    assert "\x1b" not in result.stderr


@pytest.mark.slow
def test_quiet_leaves_stderr_empty(recipe_file: Path, tmp_path: Path) -> None:
    assert run("build", recipe_file, "-q", "-o", tmp_path / "m.onnx").stderr == ""


@pytest.mark.slow
def test_json_is_the_only_output_on_stdout(recipe_file: Path, tmp_path: Path) -> None:
    result = run("build", recipe_file, "--json", "-o", tmp_path / "m.onnx")
    report = json.loads(result.stdout)
    assert (report["name"], report["path"]) == ("boats", str(tmp_path / "m.onnx"))
    assert report["metrics"]["accuracy"] == 1.0
    assert report["training"]["rows_train"] + report["training"]["rows_test"] == 24
    assert set(report["training"]["linear"]["coefficients"]) >= {"numbers__length"}
    assert list(report["seconds"]) == [
        "read",
        "train",
        "convert",
        "verify",
        "seal",
        "report",
    ]


def test_inspect_prints_columns_parity_and_digest(bundle: Path) -> None:
    result = run("inspect", bundle)
    assert result.exit_code == 0
    for part in ("boats, version 1", "column hull", "oak, steel", "parity predict_proba", "sha256"):
        assert part in result.stdout
    description = json.loads(run("inspect", bundle, "--json").stdout)
    assert description["sha256"] in result.stdout
    assert description["bytes"] == bundle.stat().st_size
    assert description["manifest"]["name"] == "boats"


def test_a_column_name_cannot_control_the_terminal(recipe_file: Path) -> None:
    table = recipe_file.parent / "boats.csv"
    table.write_text(table.read_text().replace("masts", "ma\x1b[31msts", 1))
    path = build(recipe_file, recipe_file.parent / "boats.onnx").path
    assert "\x1b" not in run("inspect", path).stdout


def test_export_calls_a_function_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "from sklearn.linear_model import LinearRegression\n"
        "def fitted():\n    return LinearRegression().fit([[1.0], [2.0]], [3.0, 5.0])\n"
    )
    (tmp_path / "rows.csv").write_text("x\n1\n2\n")
    arguments = (f"{tmp_path / 'train.py'}:fitted", "--data", tmp_path / "rows.csv")
    result = run("export", *arguments, "-o", tmp_path / "m.onnx", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["name"] == "fitted"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('target = "kind"', 'target = "knd"'),
        ("C = 2.0", "C = -2.0"),
        ("C = 2.0", "c = 2.0"),
        ("[data]", "[dta]"),
        ("boats.csv", "no-such.csv"),
        ("boats.csv", "recipe.toml"),
    ],
)
def test_an_error_in_the_recipe_is_one_line_and_exit_1(
    changed: Callable[..., Path], before: str, after: str
) -> None:
    file = changed((before, after))
    result = run("build", file, "-q", "-o", file.parent / "m.onnx")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert not (file.parent / "m.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [lambda raw: raw[:-1], lambda raw: b"PK" + raw, lambda raw: b""])
def test_a_damaged_file_is_one_line_and_exit_1(
    bundle: Path, spoil: Callable[[bytes], bytes]
) -> None:
    bundle.write_bytes(spoil(bundle.read_bytes()))
    result = run("inspect", bundle)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["bild"], ["build"], ["build", "--outptu", "x"], ["export", "train"], ["inspect"]],
)
def test_misuse_is_exit_2_with_a_hint(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage" in result.stderr


def test_a_misspelt_command_gets_a_suggestion() -> None:
    assert "'build'" in run("bild").stderr


def test_a_file_in_place_of_a_folder_is_one_line(recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    result = run("build", recipe_file, "-q", "-o", tmp_path / "plain" / "m.onnx")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_has_examples_and_a_page_in_the_docs(root: Path, name: str) -> None:
    text = run(name, "--help").stdout
    assert "Examples:\n" in text
    pages = [page.read_text(encoding="utf-8") for page in (root / "docs").glob("*.md")]
    described = [
        page for page in pages if re.search(rf"^(#+ |\$ )?edge-pipeline {name}\b", page, re.M)
    ]
    assert described, f"no page of docs/ describes edge-pipeline {name}"
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", text)) - COMMON_OPTIONS
    assert [o for o in sorted(options) if not any(f"`{o}" in page for page in described)] == []


@pytest.mark.slow
def test_a_terminal_shows_a_spinner_and_then_the_result(recipe_file: Path, tmp_path: Path) -> None:
    outer, inner = pty.openpty()
    command = [sys.executable, "-c", "from edge_pipeline.cli.main import main; main()"]
    result = subprocess.run(
        [*command, "build", recipe_file, "-o", tmp_path / "m.onnx"],
        stdout=subprocess.PIPE,
        stderr=inner,
        env={**os.environ, "TERM": "xterm"},
        check=True,
        text=True,
    )
    os.close(inner)
    # One read of a terminal returns at most 4,095 bytes, and may end within a letter.
    terminal_text = read_until_closed(outer)
    assert "\x1b[" in terminal_text
    assert "sealing" in terminal_text
    assert "\x1b" not in result.stdout
    assert "accuracy" in result.stdout
