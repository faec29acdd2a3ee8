"""The page that compares two files: what changed, for whom, and which rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from edge_pipeline.cli.main import cli
from pipeline.evaluation.report.conftest import HOSTILE
from pipeline.evaluation.report.test_write_report import Elements
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

RANDOM = np.random.default_rng(0)
X = pd.DataFrame({"a": RANDOM.normal(size=400), "<i>b": RANDOM.normal(size=400)})
Y = np.where(X["a"] * X["<i>b"] > 0, HOSTILE, "_other")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("compare")
    paths = (folder / "old.onnx", folder / "new.onnx", folder / "rows.csv")
    edge_pipeline.export(LogisticRegression().fit(X[:200], Y[:200]), X[:200], paths[0])
    tree = DecisionTreeClassifier(max_depth=6, random_state=0).fit(X[:200], Y[:200])
    edge_pipeline.export(tree, X[:200], paths[1], version=2)
    X[200:].assign(kind=RANDOM.choice(["x", HOSTILE], 200), y=Y[200:]).to_csv(paths[2], index=False)
    return paths


def read(page: Path) -> tuple[str, Elements]:
    text = page.read_text("utf-8")
    return text, Elements(text)


def test_the_page_says_what_changed_for_whom_and_where(
    labels: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    before, after, table = labels
    result = edge_pipeline.compare(before, after, table, target="y", page=tmp_path / "c.html")
    text, page = read(tmp_path / "c.html")
    text_of_page = " ".join(page.text.split())
    assert HOSTILE not in text
    assert "<i>b" not in text
    assert "<i>b" in text_of_page
    assert f"Better: {len(result.changed)} of 200 predictions changed" in text_of_page
    assert (
        f"{result.right_after} rows became correct, {result.right_before} became wrong"
        in text_of_page
    )
    for words in ("For whom", "accuracy after", "near tie", "DecisionTreeClassifier", "version 2"):
        assert words in text_of_page
    rows = [c for name, c in page.elements if name == "th" and c.get("data-label") == "row"]
    assert len(rows) == len(result.changed)
    assert [s.get("type") for s in page.all("script")] == [None]


def test_the_page_without_rows_has_groups_alone(
    labels: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "c.html"
    arguments = [*map(str, labels[:2]), "--data", str(labels[2]), "--page", str(page), "--no-rows"]
    result = CliRunner().invoke(cli, ["compare", *arguments])
    assert result.exit_code == 1
    assert str(page) in result.stdout
    text, elements = read(page)
    assert "For whom" in elements.text
    assert "Rows that changed" not in elements.text
    assert 'data-label="row"' not in text
    assert "without a target, nobody knows which are right" in elements.text


def test_few_changes_may_be_chance(labels: tuple[Path, Path, Path], tmp_path: Path) -> None:
    table = pd.read_csv(labels[2])
    result = edge_pipeline.compare(*labels[:2], table, target="y")
    worse = [row.row - 1 for row in result.changed if str(row.before) == table["y"][row.row - 1]]
    better = [row.row - 1 for row in result.changed if str(row.after) == table["y"][row.row - 1]]
    few = table.iloc[[*worse[:2], *better[:3]]].reset_index(drop=True)
    page = tmp_path / "c.html"
    edge_pipeline.compare(*labels[:2], few, target="y", page=page)
    assert "which may be chance" in read(page)[1].text
    edge_pipeline.compare(labels[0], labels[0], few, target="y", page=page)
    assert f"No prediction changed on {len(few)} rows." in read(page)[1].text


def test_numbers_and_several_targets_are_compared(tmp_path: Path) -> None:
    y: Any = X["a"] * 3
    page = tmp_path / "c.html"
    for name, estimator, target in (
        ("r", Ridge(alpha=50.0), y),
        ("t", DecisionTreeRegressor(max_depth=9, random_state=0), y),
        ("rr", Ridge(alpha=50.0), np.c_[y, -y]),
        ("tt", DecisionTreeRegressor(max_depth=9, random_state=0), np.c_[y, -y]),
    ):
        edge_pipeline.export(estimator.fit(X, target), X, tmp_path / f"{name}.onnx")
    rows = X.assign(u=y, v=-y)
    edge_pipeline.compare(tmp_path / "r.onnx", tmp_path / "t.onnx", rows, target="u", page=page)
    text = " ".join(read(page)[1].text.split())
    assert "Better: 400 of 400 predictions changed" in text
    assert "error after" in text
    edge_pipeline.compare(
        tmp_path / "rr.onnx", tmp_path / "tt.onnx", rows, target=["u", "v"], page=page
    )
    assert "closer to the true value" in read(page)[1].text


def test_the_report_opens_in_the_browser_of_the_user(
    labels: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, log = tmp_path / "page.html", tmp_path / "opened.txt"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {log}\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    arguments = ["report", str(labels[0]), "-o", str(page), "--open", "--no-rows"]
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert log.read_text().strip() == page.as_uri()
