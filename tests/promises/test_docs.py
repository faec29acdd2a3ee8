"""Promise 4: the docs cover every command, their code runs, and their figures agree."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from edge_runtime.bundle.seal import SEAL_ENTRY_BYTES, Seal

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "benchmarks/results/training_vs_inference.json"


def code_blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def build_commands() -> list[str]:
    """List the commands of edge-pipeline, nested ones as `group command`."""

    def walk(group: click.Group, prefix: str) -> list[str]:
        commands = []
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                commands += walk(command, f"{prefix}{name} ")
            else:
                commands.append(f"{prefix}{name}")
        return commands

    return walk(importlib.import_module("edge_pipeline.cli.main").cli, "edge-pipeline ")


def device_commands() -> list[str]:
    """List the commands of edge-runtime from its own --help."""
    command = Path(sys.executable).with_name("edge-runtime")
    text = subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout
    return [f"edge-runtime {name}" for name in re.findall(r"^ {4}([a-z][a-z-]*) ", text, re.M)]


def is_documented(command: str) -> bool:
    """Whether a page has a heading, or a line of a code block, for exactly this command."""
    pattern = re.compile(rf"^(?:#+ .*|\$ |)`?{re.escape(command)}(?![\w-])", re.MULTILINE)
    return any(pattern.search(page.read_text("utf-8")) for page in (ROOT / "docs").rglob("*.md"))


def test_every_command_of_the_build_machine_is_in_the_docs() -> None:
    commands = build_commands()
    assert {"edge-pipeline build", "edge-pipeline inspect"} <= set(commands)
    assert [name for name in commands if not is_documented(name)] == []


def test_every_command_of_the_device_is_in_the_docs() -> None:
    commands = device_commands()
    assert {"edge-runtime check", "edge-runtime predict"} <= set(commands)
    assert [name for name in commands if not is_documented(name)] == []


def test_a_command_without_a_page_is_detected() -> None:
    assert not is_documented("edge-runtime teleport")
    assert not is_documented("edge-runtime che")


@pytest.mark.slow
def test_the_python_of_the_readme_runs(
    in_new_process: Callable[..., str],
) -> None:
    (block,) = code_blocks(ROOT / "README.md", "python")
    out = in_new_process(block)
    assert "0 of " in out.splitlines()[0]
    assert out.splitlines()[1].startswith("2 [[")


@pytest.mark.slow
def test_the_commands_of_the_readme_run_without_the_repository(tmp_path: Path) -> None:
    install, from_a_table, in_a_clone = code_blocks(ROOT / "README.md", "sh")
    assert install.startswith("pip install edge-pipeline ")
    assert [line.split()[:2] for line in in_a_clone.splitlines()] == [
        ["make", "demo"],
        ["make", "test"],
    ]
    commands = Path(sys.executable).parent
    process = subprocess.run(
        ["sh", "-euc", from_a_table],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-2].startswith("line,prediction,probability_0")
    assert re.fullmatch(r"2,[012],[\d.]+,[\d.]+,[\d.]+", process.stdout.splitlines()[-1])
    assert (tmp_path / "dist/iris.report.html").is_file()


@pytest.mark.slow
def test_the_python_of_the_how_to_page_runs(
    in_new_process: Callable[..., str],
) -> None:
    blocks = code_blocks(ROOT / "docs/howto.md", "python")
    out = in_new_process("\n".join(blocks))
    assert "limits.max_model_bytes: expected at most 5,000" in out
    assert "of 150 rows changed" in out
    assert "graph of iris" in out


def test_the_reference_page_is_up_to_date() -> None:
    process = subprocess.run(
        [sys.executable, ROOT / "tools/reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_readme_shows_the_figures_of_the_benchmark() -> None:
    process = subprocess.run(
        [sys.executable, ROOT / "benchmarks/training_vs_inference.py", "--show", FIGURES],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_compares_one_row_as_an_array_on_both_sides() -> None:
    run = json.loads((FIGURES.parent / "latency.json").read_text(encoding="utf-8"))
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for model, name in (
        ("logistic regression", "logistic regression"),
        ("forest, 100 trees, depth 8", "forest of 100 trees"),
    ):
        times = run["figures"][model]["contenders"]
        ours, theirs = (
            times[key]["us"]["median"] for key in ("predict_one, array", "scikit-learn")
        )
        pattern = rf"{ours:.1f} us and (scikit-learn's `predict` )?{theirs:,.0f} us for a {name}"
        assert re.search(pattern, text), pattern


def test_figures_name_machine_versions_and_repetitions() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert {"processor", "cores", "memory_gb", "python"} <= set(figures["machine"])
    assert {"scikit-learn", "onnxruntime", "numpy"} <= set(figures["versions"])
    assert min(figures["repetitions"].values()) >= 5
    assert figures["one_row_ratio"]["low"] <= figures["one_row_ratio"]["median"]


@pytest.mark.slow
@pytest.mark.xdist_group("promises")
def test_the_manual_check_of_the_format_page_works(
    bundle_path: Path, tmp_path: Path, in_new_process: Callable[..., str]
) -> None:
    page = ROOT / "docs/bundle-format.md"
    shutil.copy(bundle_path, tmp_path / "penguins.onnx")
    output = subprocess.run(
        ["sh", "-euc", code_blocks(page, "sh")[0]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    seal, sealed_digest, computed_digest = output[:276], output[276:340], output[340:404]
    assert Seal.from_text(seal).sha256 == sealed_digest == computed_digest
    assert (
        in_new_process(code_blocks(page, "python")[0], folder=tmp_path) == "penguins EDGESEAL0001\n"
    )


def test_the_format_page_places_the_seal_where_the_code_does() -> None:
    page = (ROOT / "docs/bundle-format.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| −(\d+) \| (\d+) \|", page, re.MULTILINE)
    places = [(int(start), int(length)) for start, length in rows]
    assert places[0][0] == SEAL_ENTRY_BYTES
    ends = [start - length for start, length in places]
    assert ends == [*(start for start, _ in places[1:]), 0]


@pytest.mark.slow
def test_the_performance_page_shows_the_benchmark_figures() -> None:
    page = ROOT / "benchmarks/performance.py"
    assert subprocess.run([sys.executable, page, "--check"], check=False).returncode == 0
    for name in ("latency", "batch", "parts", "cold_start", "memory"):
        run = json.loads((FIGURES.parent / f"{name}.json").read_text(encoding="utf-8"))
        assert run["blocks"] >= 9
        assert {"processor", "cores", "python", "load_average"} <= set(run["machine"])
        assert {"onnxruntime", "numpy"} <= set(run["versions"])


def test_the_auto_page_shows_the_benchmark_figures() -> None:
    run = json.loads((FIGURES.parent / "auto.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/auto.md").read_text(encoding="utf-8")
    table = page.partition("<!-- auto -->")[2].partition("<!-- end -->")[0]
    assert {"processor", "cores", "python", "load_average"} <= set(run["machine"])
    assert len(re.findall(r"^\| \w+ \(\d+ rows\)", table, re.MULTILINE)) == len(run["figures"])
    for name, figures in run["figures"].items():
        line = next(line for line in table.splitlines() if line.startswith(f"| {name} ("))
        means = [sum(values) / len(values) for values in figures["scores"].values()]
        assert f"{means[0]:.4f}" in line
        assert f"{max(means[1:]):.4f} ({figures['best_by_hand']})" in line
        assert f"{figures['auto_to_best']:.3f}" in line
