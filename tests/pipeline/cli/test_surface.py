"""Builds end with a verdict; doctor and new; what a terminal shows."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import replace
from fcntl import ioctl
from pathlib import Path
from typing import Any, get_args

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from edge_pipeline.cli import verdict
from edge_pipeline.cli.main import cli
from edge_pipeline.diagnosis import Diagnosis
from sklearn.linear_model import LinearRegression

COMMAND = Path(sys.executable).with_name("edge-pipeline")
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def run(*arguments: Any) -> Result:
    result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


def lines_of(result: Result) -> dict[str, str]:
    pairs = (re.split(r" {3,}", line, maxsplit=1) for line in result.stdout.splitlines())
    return {pair[0]: pair[-1] for pair in pairs}


@pytest.fixture
def noise_recipe(recipe_file: Path) -> Path:
    """Make the target of the healthy table random, and its rows 60."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "length": rng.normal(size=60),
            "masts": rng.integers(1, 3, size=60),
            "hull": rng.choice(["oak", "steel"], size=60),
            "kind": rng.choice(["sloop", "ketch"], size=60),
        }
    )
    table.to_csv(recipe_file.with_name("boats.csv"), index=False)
    return recipe_file


@pytest.mark.slow
def test_a_build_ends_with_a_verdict_and_the_next_command(
    recipe_file: Path, tmp_path: Path
) -> None:
    result = run("build", recipe_file, "-o", tmp_path / "m.onnx")
    lines = lines_of(result)
    assert list(lines)[-1] == "verdict"
    assert lines["verdict"].startswith("OK: m.onnx predicts as scikit-learn does. Clearly")
    assert re.search(r"accuracy 1\.000 .*against 0\.", lines["verdict"])
    assert "rows compared, every label equal" in lines["same as scikit-learn"]
    assert re.fullmatch(rf"{tmp_path}/m.onnx, [\d,]+ bytes", lines["file"])
    assert re.match(r"[\d.]+ us for one row here, \d+ MiB of memory", lines["speed"])
    assert result.stderr.splitlines()[-1] == f"next: edge-runtime check {tmp_path / 'm.onnx'}"
    assert "Higham" not in result.output


def test_numerical_details_are_for_verbose_and_the_log(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = run("build", recipe_file, "-o", tmp_path / "m.onnx", "--no-report", "--verbose")
    assert "evidence predict_proba" in result.stdout
    assert "parity predict_proba" in result.stdout
    log = (tmp_path / "edge-pipeline/last-build.log").read_text(encoding="utf-8")
    assert "evidence predict_proba: " in log
    assert "scikit-learn 1." in log
    assert "converting" not in log


@pytest.mark.slow
def test_a_model_no_better_than_guessing_is_not_ok(noise_recipe: Path, tmp_path: Path) -> None:
    result = run("build", noise_recipe, "-o", tmp_path / "m.onnx")
    assert result.exit_code == 0
    verdict_text = lines_of(result)["verdict"]
    assert re.match(r"NOT OK: .*guessing: accuracy 0\.\d+ .*against 0\.\d+ for", verdict_text)


@pytest.fixture
def far_result(tmp_path: Path) -> edge_pipeline.ExportResult:
    X = np.arange(20.0).reshape(10, 2)
    result = edge_pipeline.export(LinearRegression().fit(X, X[:, 0]), X, tmp_path / "line.onnx")
    from edge_pipeline.verification.parity import FAR_OUTSIDE

    return replace(result, notes=(f"{FAR_OUTSIDE}: predict at 1e308", "a note that matters"))


def test_a_note_about_numbers_far_outside_training_is_only_counted(
    far_result: edge_pipeline.ExportResult, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict.show_result(far_result)
    captured = capsys.readouterr()
    assert "1e308" not in captured.out + captured.err
    assert "1 numerical note: --verbose shows it" in captured.err
    assert "NOTE: a note that matters" in captured.err
    assert "OK: line.onnx predicts as scikit-learn does" in captured.out


def on_terminal(
    *arguments: str | Path, answers: str = "", columns: int = 60, folder: Path | None = None
) -> str:
    """Run a command on a terminal of *columns*, type *answers*, and return what it shows."""
    leader, follower = pty.openpty()
    # pytest-xdist sets COLUMNS, which counts more than the terminal.
    inherited = {name: os.environ[name] for name in os.environ if name not in ("COLUMNS", "LINES")}
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [COMMAND, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=folder,
        env={**inherited, "TERM": "xterm-256color"},
    ) as process:
        os.close(follower)
        os.write(leader, answers.encode())
        output, end = b"", time.monotonic() + 120
        while time.monotonic() < end:
            if select.select([leader], [], [], 1.0)[0]:
                try:
                    output += os.read(leader, 4096)
                except OSError:  # Linux reports the closed end so
                    break
        process.wait(timeout=60)
    os.close(leader)
    return output.decode()


def test_long_values_wrap_with_a_hanging_indent_and_a_green_verdict(
    far_result: edge_pipeline.ExportResult,
) -> None:
    output = on_terminal("inspect", far_result.path).replace("\r", "")
    plain = ANSI.sub("", output).splitlines()
    assert max(map(len, plain)) <= 60
    start = next(i for i, line in enumerate(plain) if line.startswith("made by"))
    indent = len(plain[start]) - len(plain[start].removeprefix("made by").lstrip())
    assert plain[start + 1].startswith(" " * indent)
    assert plain[start + 1][indent] != " "


@pytest.mark.slow
def test_new_asks_and_writes_the_recipe(recipe_file: Path, tmp_path: Path) -> None:
    table = recipe_file.with_name("boats.csv")
    output = on_terminal("new", table, answers="hal\nkind\n\nyachts\nn\n", folder=tmp_path)
    assert "no column is called 'hal'" in output
    assert "Task (classification, regression) [classification]" in output
    assert "next: edge-pipeline build models/yachts" in output
    recipe = edge_pipeline.read_recipe(tmp_path / "models/yachts")
    assert (recipe.name, recipe.task) == ("yachts", "classification")


@pytest.mark.slow
def test_new_builds_what_the_options_say_without_a_terminal(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = recipe_file.with_name("boats.csv")
    result = run("new", table, "--target", "kind", "--name", "yachts", "--build")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "dist/yachts.onnx").is_file()
    assert "verdict" in result.stdout
    again = run("new", table, "--target", "kind", "--name", "yachts")
    assert again.exit_code == 1
    assert "is not written over" in again.stderr


def test_new_without_a_table_and_a_terminal_says_so() -> None:
    result = run("new")
    assert result.exit_code == 2
    assert "TABLE is missing, and there is no terminal to ask for it" in result.stderr


def test_doctor_finds_this_machine_healthy() -> None:
    result = run("doctor")
    lines = lines_of(result)
    assert lines["verdict"] == "OK: this machine can build models", result.output
    assert {"edge-pipeline", "edge-runtime", "machine", "onnxruntime", "scikit-learn"} <= set(lines)
    facts = json.loads(run("doctor", "--json").stdout)
    assert facts["ok"] is True
    assert facts["problems"] == []
    assert facts["facts"]["conversion"] == lines["conversion"]


def test_doctor_names_a_wrong_version_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_pipeline import diagnosis

    def old_version(name: str) -> str:
        return "1.0" if name == "scikit-learn" else real_version(name)

    real_version = diagnosis.version
    monkeypatch.setattr(diagnosis, "version", old_version)
    result = diagnosis.doctor()
    assert isinstance(result, Diagnosis)
    assert not result.ok
    (problem,) = result.problems
    assert problem.startswith("scikit-learn 1.0 is installed, expected ")
    assert "pip install 'scikit-learn" in problem
    result = run("doctor")
    assert result.exit_code == 1
    assert lines_of(result)["verdict"] == "NOT OK: 1 problem; see above"


def test_the_commands_offer_every_task_of_a_recipe() -> None:
    from edge_pipeline.cli.init import TASKS
    from edge_pipeline.data.recipe_schema import Task

    assert get_args(Task) == TASKS
