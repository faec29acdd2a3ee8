"""The emulated boards: what docs/arm.md says of them, and what tools/pi does without one."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools/pi"
PLACES = {("zero2", "3.11"), ("4", "3.11"), ("5", "3.11"), ("4", "3.13")}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


@pytest.fixture(scope="module")
def result() -> Any:
    return json.loads((ROOT / "benchmarks/results/arm.json").read_text(encoding="utf-8"))


def test_the_page_shows_the_newest_result() -> None:
    done = subprocess.run([sys.executable, TOOLS / "report.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "python tools/pi/report.py writes docs/arm.md anew"


def test_every_board_and_python_was_asked_and_nothing_failed(result: Any) -> None:
    runs = result["runs"]
    assert {(run["board"], run["python"]) for run in runs} == PLACES
    for run in runs:
        assert run["failed"] == []
        assert run["machine"] == "aarch64"
        assert run["tests"]["all"]["passed"] > 700
        assert "failed" not in run["tests"]["all"]
        assert run["tests"]["hostile"]["passed"] > 50


def test_every_model_of_the_repository_answered_its_golden_rows_on_every_board(result: Any) -> None:
    models = {path.parent.name for path in ROOT.glob("models/*/recipe.toml")}
    for run in result["runs"]:
        asked = {name for name, told in run["models"].items() if told["family"] == "models"}
        assert asked == models
        assert all(run["models"][name]["golden_rows"] > 0 for name in models)


def test_what_the_page_promises_of_labels_and_bits_holds_in_the_result(
    result: Any, tool: Any
) -> None:
    comparing = tool("comparing")
    families = set()
    for run in result["runs"]:
        for name, told in run["models"].items():
            assert comparing.broken(told) == [], name
            families.add(told["family"])
    assert families > comparing.EXACT
    assert len(families) >= 18
    page = (ROOT / "docs/arm.md").read_text(encoding="utf-8")
    assert f"within {comparing.MOST_APART * 2**52:.0f} units in the last place" in page


def test_a_broken_promise_would_be_seen(tool: Any) -> None:
    broken = tool("comparing").broken
    healthy = {"family": "trees", "labels_apart": 0, "cells": 9, "cells_apart": 0, "relative": 0.0}
    assert broken(healthy) == []
    assert broken({**healthy, "labels_apart": 1}) == ["1 labels differ"]
    assert len(broken({**healthy, "cells_apart": 1, "relative": 1e-16})) == 1
    assert broken({**healthy, "family": "linear", "cells_apart": 1, "relative": 1e-16}) == []
    for apart in (1e-13, float("nan")):
        assert len(broken({**healthy, "family": "linear", "relative": apart})) == 1


def test_the_denied_onnxruntime_ends_three_boards_and_is_refused_on_all(result: Any) -> None:
    shown = {board: told["alone"] for board, told in result["denied"].items()}
    assert shown == {"zero2": "SIGILL", "3": "SIGILL", "4": "SIGILL", "5": "runs"}
    for board, told in result["denied"].items():
        remedy = "install 1.21.1 or later" if board != "5" else "pip install 'onnxruntime>="
        assert remedy in told["edge_runtime"]


def test_no_time_of_an_emulator_is_told() -> None:
    page = (ROOT / "docs/arm.md").read_text(encoding="utf-8")
    assert re.findall(r"\d[\d.,]* ?(?:ms|us|µs|s|min|seconds|minutes|hours)\b", page) == []
    result = (ROOT / "benchmarks/results/arm.json").read_text(encoding="utf-8")
    assert re.findall(r'"[^"]*(?:seconds|_ms|_us|took|latency)[^"]*":', result) == []


@pytest.mark.parametrize(
    ("a", "b", "apart"),
    [
        (1.0, 1.0, 0),
        (0.0, -0.0, 0),
        (1.0, 1.0 + 2.0**-52, 1),
        (-5e-324, 5e-324, 2),
        (1.0, np.nextafter(np.nextafter(1.0, 0), 0), 2),
        (1.0, 2.0, 2**52),
    ],
)
def test_units_in_the_last_place_are_the_floats_between(
    tool: Any, a: float, b: float, apart: int
) -> None:
    assert tool("comparing").ulps(np.array([a]), np.array([b])).tolist() == [apart]


@pytest.mark.parametrize(("board", "part"), [("zero2", "0xd03"), ("4", "0xd08"), ("5", "0xd0b")])
def test_a_boards_kernel_tells_its_cpu(tool: Any, board: str, part: str) -> None:
    boards = tool("boards")
    told = boards.cpuinfo(boards.BOARDS[board], 4)
    assert told.count(f"CPU part\t: {part}\n") == 4
    assert ("asimdhp" in told) == (board == "5")


def test_where_no_board_can_be_emulated_the_reason_is_told_and_77_returned(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "dirname", "python3"):
        (tmp_path / "bin" / name).symlink_to(
            sys.executable if name == "python3" else f"/bin/{name}"
        )
    done = subprocess.run(
        [TOOLS / "pi", "--place", tmp_path / "pi", "true"],
        env={"PATH": str(tmp_path / "bin"), "PYTHON": sys.executable},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 77
    assert done.stderr.startswith("pi: SKIPPED: no apt-get")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("required", "code"), [("", 0), ("1", 1)])
def test_the_boards_are_skipped_loudly_or_required(
    tmp_path: Path, required: str, code: int
) -> None:
    wheel = tmp_path / "edge_runtime-0-py3-none-any.whl"
    wheel.touch()
    (tmp_path / "bin").mkdir()
    for name in ("sh", "dirname"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    # A copy of the tools has no root yet, and this path has no apt-get to build one with.
    (tmp_path / "tools").mkdir()
    copied = tmp_path / "tools/pi"
    copied.mkdir()
    for path in [*TOOLS.glob("*.py"), TOOLS / "pi"]:
        (copied / path.name).write_bytes(path.read_bytes())
    (copied / "pi").chmod(0o755)
    done = subprocess.run(
        [sys.executable, copied / "suite.py", wheel, "--models", tmp_path],
        env={"PATH": str(tmp_path / "bin"), "PYTHON": sys.executable, "PI_REQUIRED": required},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "SKIPPED: no apt-get" in done.stdout
    assert "did not run on ARM instructions" in done.stdout


def test_the_page_of_the_raspberry_pi_is_read_block_by_block(tool: Any) -> None:
    follow = tool("follow")
    page = (ROOT / "docs/raspberry-pi.md").read_text(encoding="utf-8")
    found = list(follow.blocks(page))
    assert [block.kind for block in found].count("board") >= 5
    assert {block.kind for block in found} == {"build", "carry", "board"}
    assert sum(block.expected is not None for block in found) >= 4
    assert "edge-pipeline kit dist/vibration.onnx --board 4" in page


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\n", False),
        ("a\n", "a\nb\n", False),
        ("a\nx\ny\nb\n", "a\n...\nb\n", True),
        ("Python 3.11.2\n", "Python 3.11...\n", True),
        ("Python 3.12.2\n", "Python 3.11...\n", False),
        ("rows      16 rows\n", "rows ... 16 rows\n", True),
        ("", "a\n", False),
    ],
)
def test_what_a_command_prints_is_compared_with_the_page(
    tool: Any, printed: str, expected: str, same: bool
) -> None:
    assert tool("follow").agrees(printed, expected) == same
