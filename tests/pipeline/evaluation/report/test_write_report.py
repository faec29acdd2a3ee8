"""A report shows the build's measurements, escapes all names, and loads nothing else."""

import hashlib
import json
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from edge_pipeline import MeasurementError
from edge_pipeline.cli.main import cli
from edge_pipeline.evaluation.report.evaluate_build import digest_of
from edge_pipeline.evaluation.report.measurements import Evaluation, sidecar_of
from pipeline.evaluation.report.conftest import HOSTILE, rows
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import edge_runtime

pytestmark = pytest.mark.slow

MAX_BYTES = 1_500_000


class Elements(HTMLParser):
    """Collect all elements with their attributes, and the text outside of styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_style = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(export: edge_pipeline.ExportResult) -> str:
    assert export.report_files is not None
    return export.report_files.page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["hostile", "fuel"])
def test_the_page_loads_nothing_else(name: str, request: Any) -> None:
    text = page_of(request.getfixturevalue(name))
    page = Elements(text)
    assert len(text.encode()) < MAX_BYTES
    assert {"iframe", "object", "img"} & {tag for tag, _ in page.elements} == set()
    assert [s.get("type") for s in page.all("script")][-1:] == [None]
    assert {s.get("type") for s in page.all("script")} <= {"application/json", None}
    assert not any(key.startswith("on") for _, names in page.elements for key in names)
    for tag, attributes in page.elements:
        for key in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(key)
            assert value is None or value.startswith(("#", "data:")), (tag, key, value)
    outside = {url for url in re.findall(r"https?://[^\s\"'<>)]+", text) if "w3.org" not in url}
    assert outside == set()
    assert "@import" not in text


def test_names_from_the_table_are_shown_and_never_markup(
    hostile: edge_pipeline.ExportResult,
) -> None:
    text = page_of(hostile)
    assert HOSTILE not in text
    assert "<i>" not in text
    assert "<b>kind" not in text
    page_text = Elements(text).text
    for name in (HOSTILE, "$x^2$", '"quoted" & <i>', "For <i>nothing</i> | but tests.", "a|b"):
        assert name in page_text


def test_hostile_names_do_not_break_the_tables_of_the_card(
    hostile: edge_pipeline.ExportResult,
) -> None:
    assert hostile.report_files is not None
    card = hostile.report_files.card.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", card, flags=re.MULTILINE | re.DOTALL)
    assert "<" not in prose.replace("\\<", "")
    assert r"a\|b" in prose
    for line in prose.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) >= 3
    widths = [
        {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE)
    ]
    assert len(widths) >= 4
    assert all(len(width) == 1 for width in widths)


def test_the_page_shows_the_measurements_of_the_build(
    hostile: edge_pipeline.ExportResult, fuel: edge_pipeline.ExportResult
) -> None:
    page_text = " ".join(Elements(page_of(hostile)).text.split())
    table = hostile.path.with_name("rows.csv").read_bytes()
    for words in (
        "180 to train, 60 to test",
        hashlib.sha256(table).hexdigest(),
        "2026-11-24",
        "Confusion matrix",
        "Calibration",
        "ROC",
        "Permutation importance",
        "Errors by group",
        "Learning curve",
        "always the most frequent class",
        "max_model_bytes",
        "kept",
        f"edge-runtime predict {hostile.path.name} rows.csv",
        hostile.manifest.created_by["scikit-learn"],
    ):
        assert words in page_text or words in page_of(hostile), words
    page_text = " ".join(Elements(page_of(fuel)).text.split())
    assert "Predicted minus true: half of the rows between" in page_text
    assert "always the mean of the training rows" in page_text
    assert "Confusion matrix" not in page_text


def test_the_figures_are_those_of_the_sealed_file(hostile: edge_pipeline.ExportResult) -> None:
    assert hostile.report_files is not None
    evaluation = hostile.report_files.evaluation
    accuracy = next(score for score in evaluation.scores if score.name == "accuracy")
    assert accuracy.value == hostile.manifest.metrics["accuracy"]
    assert accuracy.low < accuracy.value < accuracy.high
    assert accuracy.dummy < accuracy.low
    assert evaluation.confusion is not None
    counts = np.array(evaluation.confusion.counts)
    assert counts.sum() == 60
    assert np.trace(counts) / 60 == accuracy.value
    assert evaluation.importance[0].column == "$x^2$"
    assert evaluation.importance[0].mean > 5 * abs(evaluation.importance[-1].mean)
    assert {group.column for group in evaluation.groups} == {"$x^2$", "word"}
    for column in ("$x^2$", "word"):
        assert sum(group.rows for group in evaluation.groups if group.column == column) == 60
    assert evaluation.measured is not None
    assert evaluation.measured.model_bytes == hostile.bundle_bytes
    assert evaluation.measured.empty_memory_mb < evaluation.measured.peak_memory_mb


def test_drawings_have_labels_and_tables_have_headers(
    hostile: edge_pipeline.ExportResult, fuel: edge_pipeline.ExportResult
) -> None:
    for export in (hostile, fuel):
        page = Elements(page_of(export))
        assert page.all("html")[0]["lang"] == "en"
        drawings = [d for d in page.all("div") if d.get("role") == "img"]
        hidden_drawings = [svg for svg in page.all("svg") if svg.get("aria-hidden") == "true"]
        assert len(hidden_drawings) == len(page.all("svg")) >= len(drawings) >= 5
        assert all(len(drawing["aria-label"] or "") > 20 for drawing in drawings)
        assert len({drawing["aria-label"] for drawing in drawings}) == len(drawings)
        assert len(page.all("table")) == len(page.all("caption"))
        assert all("scope" in head for head in page.all("th"))
        assert len(page.all("h1")) == 1
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))


def test_drawings_are_well_formed_and_use_the_page_colours(
    hostile: edge_pipeline.ExportResult,
) -> None:
    text = page_of(hostile)
    for drawing in re.findall(r"<svg .*?</svg>", text, re.DOTALL):
        ET.fromstring(drawing)
        assert re.search(r"#0[1-7]0[1-7]0[1-7]", drawing) is None
        assert "var(--ink)" in drawing or 'class="small"' in drawing or "<text" not in drawing
        assert "mathdefault" not in drawing
        assert set(re.findall(r"#[0-9a-f]{6}", drawing)) <= {"#ffffff", "#000000"}


def test_a_report_written_again_is_the_same(
    hostile: edge_pipeline.ExportResult, tmp_path: Path
) -> None:
    again = edge_pipeline.report(hostile.path, output=tmp_path / "again.html", date="yesterday")
    assert again.page.read_text("utf-8").replace("yesterday", "2026-11-24") == page_of(hostile)
    assert again.card == tmp_path / "again.md"
    assert f'srcdoc="{"&lt;!DOCTYPE html&gt;"}' in again._repr_html_()
    assert HOSTILE not in again._repr_html_()


def test_the_evaluation_of_another_build_is_ignored(
    hostile: edge_pipeline.ExportResult, fuel: edge_pipeline.ExportResult, tmp_path: Path
) -> None:
    path = tmp_path / "fuel.onnx"
    shutil.copy(fuel.path, path)
    result = edge_pipeline.report(path)
    assert result.evaluation.scores == ()
    assert "fuel.report.json, which the build writes, is missing" in result.page.read_text("utf-8")
    shutil.copy(sidecar_of(hostile.path), sidecar_of(path))
    text = edge_pipeline.report(path).page.read_text(encoding="utf-8")
    assert "belongs to another build of the file" in text
    assert "2026-11-24" not in text
    sidecar_of(path).write_text('{"format": 1}')
    with pytest.raises(MeasurementError, match="no evaluation of a build: sha256"):
        edge_pipeline.report(path)


def test_labelled_rows_give_the_figures_without_the_build(
    hostile: edge_pipeline.ExportResult, tmp_path: Path
) -> None:
    path = tmp_path / "alone.onnx"
    shutil.copy(hostile.path, path)
    rows().to_csv(tmp_path / "rows.csv", index=False)
    evaluation = edge_pipeline.report(
        path, rows=tmp_path / "rows.csv", target="<b>kind</b>"
    ).evaluation
    with edge_runtime.load(path) as model:
        predicted = model.predict(rows().drop(columns="<b>kind</b>"))
    accuracy = next(score for score in evaluation.scores if score.name == "accuracy")
    assert accuracy.value == np.mean(predicted == rows()["<b>kind</b>"])
    assert accuracy.dummy is None
    assert evaluation.source is not None
    assert evaluation.source.rows_test == 240
    with pytest.raises(MeasurementError, match="no column 'absent'"):
        edge_pipeline.report(path, rows=rows(), target="absent")


def test_an_evaluation_reads_back_as_it_was_written(
    hostile: edge_pipeline.ExportResult, tmp_path: Path
) -> None:
    assert hostile.report_files is not None
    hostile.report_files.evaluation.write(tmp_path / "e.json")
    assert Evaluation.read(tmp_path / "e.json") == hostile.report_files.evaluation


X, Y = load_iris(return_X_y=True)
TEXTS = ["red apple", "blue sky", "red sun", "blue sea"] * 10


@pytest.mark.parametrize(
    ("estimator", "sample", "target"),
    [
        (KMeans(3, random_state=0, n_init=1), X, None),
        (IsolationForest(n_estimators=5, random_state=0), X, None),
        (PCA(2), X, None),
        (make_pipeline(CountVectorizer(), LogisticRegression()), TEXTS, [1, 0] * 20),
    ],
    ids=["clusters", "anomalies", "transform", "text"],
)
def test_the_report_of_every_task_names_missing_sections(
    estimator: Any, sample: Any, target: Any, tmp_path: Path
) -> None:
    estimator.fit(sample, target)
    edge_pipeline.export(estimator, sample, tmp_path / "m.onnx")
    files = edge_pipeline.report(tmp_path / "m.onnx", rows=sample)
    page_text = Elements(files.page.read_text("utf-8")).text
    assert "On a device" in page_text
    if hasattr(estimator, "predict"):
        counts = files.evaluation.answers
        assert counts is not None
        assert sum(counts.counts) == len(sample)
    else:
        assert "the model has no predict" in page_text


def test_a_missing_section_has_its_reason(tmp_path: Path, root: Path) -> None:
    export = edge_pipeline.build(root / "models/linear", tmp_path / "line.onnx", report=True)
    assert export.report_files is not None
    assert "no row was kept for testing" in Elements(page_of(export)).text
    assert export.report_files.evaluation.scores == ()


def test_the_commands_write_the_page_and_print_its_path(
    hostile: edge_pipeline.ExportResult, tmp_path: Path, root: Path
) -> None:
    arguments = ["report", str(hostile.path), "-o", str(tmp_path / "p.html")]
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert str(tmp_path / "p.html") in result.stdout
    evaluation = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert evaluation["sha256"] == hostile.report_files.evaluation.sha256  # type: ignore[union-attr]
    build = ["build", str(root / "models/linear"), "-q", "-o", str(tmp_path / "x.onnx")]
    result = CliRunner().invoke(cli, build)
    assert f"{tmp_path / 'x.report.html'}" in result.stdout
    result = CliRunner().invoke(cli, [*build[:-1], str(tmp_path / "y.onnx"), "--no-report"])
    assert "report" not in result.stdout
    assert not (tmp_path / "y.report.html").exists()


@pytest.mark.parametrize(
    ("task", "estimator"),
    [
        ("regression", "sklearn.linear_model.LinearRegression"),
        ("classification", "sklearn.tree.DecisionTreeClassifier"),
    ],
)
def test_several_targets_are_evaluated_together(task: str, estimator: str, tmp_path: Path) -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 2)), columns=["a", "b"])
    signs = (table > 0).astype(int)
    targets = signs if task == "classification" else table * 2
    table.assign(u=targets["a"], v=targets["b"]).to_csv(tmp_path / "t.csv", index=False)
    recipe = (
        f'name = "both"\ntask = "{task}"\ndata = {{ file = "t.csv", target = ["u", "v"] }}\n'
        f'estimator = {{ class = "{estimator}" }}\n'
    )
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    export = edge_pipeline.build(tmp_path, tmp_path / "both.onnx", report=True)
    assert export.report_files is not None
    evaluation = export.report_files.evaluation
    assert evaluation.scores[0].value > 0.9 > evaluation.scores[0].dummy
    assert len(evaluation.residuals) == (2 if task == "regression" else 0)
    assert "scores" not in evaluation.left_out


def test_a_search_is_reported_with_its_pareto_front(tmp_path: Path) -> None:
    recipe = """
name = "searched"
task = "classification"
data = { file = "rows.csv", target = "<b>kind</b>", features = ["$x^2$"] }
estimator = { class = "sklearn.tree.DecisionTreeClassifier" }
[search]
method = "grid"
measured = 2
[search.parameters]
max_depth = [1, 2, 4]
"""
    (tmp_path / "recipe.toml").write_text(recipe, encoding="utf-8")
    rows().to_csv(tmp_path / "rows.csv", index=False)
    export = edge_pipeline.build(tmp_path, tmp_path / "s.onnx", report=True)
    assert export.report_files is not None
    assert export.search is not None
    evaluation = export.report_files.evaluation
    assert len(evaluation.tried) == 3
    assert [item.score for item in evaluation.tried] == [c.score for c in export.search.candidates]
    assert sum(item.chosen for item in evaluation.tried) == 1
    assert sum(item.front for item in evaluation.tried) == len(export.search.front) >= 1
    assert "Pareto front" in Elements(page_of(export)).text
    assert "max\\_depth=1" in export.report_files.card.read_text("utf-8")


def test_the_digest_of_a_frame_follows_its_values() -> None:
    table = rows()
    assert digest_of(table, None) == digest_of(table.copy(), None)
    modified = table.copy()
    modified.iloc[3, 0] += 1e-9
    assert digest_of(modified, None) != digest_of(table, None)
    assert digest_of(TEXTS, Y) != digest_of([*TEXTS[1:], TEXTS[0]], Y)
    assert isinstance(table, pd.DataFrame)
