"""Check docs/arm.md against the results of emulated boards, and tools/pi without a board."""

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
    process = subprocess.run(
        [sys.executable, TOOLS / "report.py", "--check"], cwd=ROOT, check=False
    )
    assert process.returncode == 0, "python tools/pi/report.py writes docs/arm.md anew"


def test_every_board_and_python_passed(result: Any) -> None:
    runs = result["runs"]
    assert {(run["board"], run["python"]) for run in runs} == PLACES
    for run in runs:
        assert run["failed"] == []
        assert run["machine"] == "aarch64"
        assert run["tests"]["all"]["passed"] > 700
        assert "failed" not in run["tests"]["all"]
        assert run["tests"]["hostile"]["passed"] > 50


def test_every_model_passed_its_golden_rows_on_every_board(result: Any) -> None:
    models = {path.parent.name for path in ROOT.glob("models/*/recipe.toml")}
    for run in result["runs"]:
        predicted = {n for n, entry in run["models"].items() if entry["family"] == "models"}
        assert predicted == models
        assert all(run["models"][name]["golden_rows"] > 0 for name in models)


def test_the_promises_of_the_page_hold_in_the_result(result: Any, tool: Any) -> None:
    comparing = tool("comparing")
    families = set()
    for run in result["runs"]:
        for name, entry in run["models"].items():
            assert comparing.broken_promises(entry) == [], name
            families.add(entry["family"])
    assert families > comparing.EXACT
    assert len(families) >= 18
    page = (ROOT / "docs/arm.md").read_text(encoding="utf-8")
    assert f"within {comparing.MOST_APART * 2**52:.0f} units in the last place" in page


def test_a_broken_promise_is_detected(tool: Any) -> None:
    violations = tool("comparing").broken_promises
    healthy = {"family": "trees", "labels_apart": 0, "cells": 9, "cells_apart": 0, "relative": 0.0}
    assert violations(healthy) == []
    assert violations({**healthy, "labels_apart": 1}) == ["1 labels differ"]
    assert len(violations({**healthy, "cells_apart": 1, "relative": 1e-16})) == 1
    assert violations({**healthy, "family": "linear", "cells_apart": 1, "relative": 1e-16}) == []
    for apart in (1e-13, float("nan")):
        assert len(violations({**healthy, "family": "linear", "relative": apart})) == 1


def test_the_denied_onnxruntime_is_refused_on_all_boards(result: Any) -> None:
    outcomes = {board: entry["alone"] for board, entry in result["denied"].items()}
    assert outcomes == {"zero2": "SIGILL", "3": "SIGILL", "4": "SIGILL", "5": "runs"}
    for board, entry in result["denied"].items():
        remedy = "install 1.21.1 or later" if board != "5" else "pip install 'onnxruntime>="
        assert remedy in entry["edge_runtime"]


def test_the_page_gives_no_time_of_an_emulator() -> None:
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
def test_units_in_the_last_place_count_the_floats_between(
    tool: Any, a: float, b: float, apart: int
) -> None:
    assert tool("comparing").ulps(np.array([a]), np.array([b])).tolist() == [apart]


@pytest.mark.parametrize(("board", "part"), [("zero2", "0xd03"), ("4", "0xd08"), ("5", "0xd0b")])
def test_a_boards_kernel_tells_its_cpu(tool: Any, board: str, part: str) -> None:
    boards = tool("boards")
    cpuinfo = boards.cpuinfo(boards.BOARDS[board], 4)
    assert cpuinfo.count(f"CPU part\t: {part}\n") == 4
    assert ("asimdhp" in cpuinfo) == (board == "5")


def test_a_missing_emulator_exits_with_77_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "dirname", "python3"):
        (tmp_path / "bin" / name).symlink_to(
            sys.executable if name == "python3" else f"/bin/{name}"
        )
    process = subprocess.run(
        [TOOLS / "pi", "--place", tmp_path / "pi", "true"],
        env={"PATH": str(tmp_path / "bin"), "PYTHON": sys.executable},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 77
    assert process.stderr.startswith("pi: SKIPPED: no apt-get")
    assert len(process.stderr.splitlines()) == 1


@pytest.mark.parametrize(("required", "code"), [("", 0), ("1", 1)])
def test_missing_boards_are_reported_or_fail(tmp_path: Path, required: str, code: int) -> None:
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
    process = subprocess.run(
        [sys.executable, copied / "suite.py", wheel, "--models", tmp_path],
        env={"PATH": str(tmp_path / "bin"), "PYTHON": sys.executable, "PI_REQUIRED": required},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == code, process.stderr
    assert "SKIPPED: no apt-get" in process.stdout
    assert "did not run on ARM instructions" in process.stdout


def test_the_raspberry_pi_page_is_read_block_by_block(tool: Any) -> None:
    follow = tool("follow")
    page = (ROOT / "docs/raspberry-pi.md").read_text(encoding="utf-8")
    blocks = list(follow.blocks(page))
    assert [block.kind for block in blocks].count("board") >= 5
    assert {block.kind for block in blocks} == {"build", "carry", "board"}
    assert sum(block.expected is not None for block in blocks) >= 4
    assert "edge-pipeline kit dist/vibration.onnx --board 4" in page


@pytest.mark.parametrize(
    ("printed", "expected", "agrees"),
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
def test_the_output_of_a_command_is_compared_with_the_page(
    tool: Any, printed: str, expected: str, agrees: bool
) -> None:
    assert tool("follow").agrees(printed, expected) == agrees
