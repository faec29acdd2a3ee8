"""Notebooks show the facts of reports and models, with every name escaped."""

import xml.etree.ElementTree as ET
from pathlib import Path

import edge_pipeline
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import edge_runtime

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame({HOSTILE: [0.0, 1.0, 2.0, 3.0] * 5, "b": [1.0, 0.0, 0.5, 2.0] * 5})


@pytest.fixture(scope="module")
def report(
    table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> edge_pipeline.ExportResult:
    labels = ["low", "low", HOSTILE, HOSTILE] * 5
    estimator = LogisticRegression().fit(table, labels)
    path = tmp_path_factory.mktemp("m") / "m.onnx"
    return edge_pipeline.export(estimator, table, path, y=labels)


def cells(html: str) -> dict[str, str]:
    """Read the names and values of all rows from well-formed HTML."""
    root = ET.fromstring(f"<div>{html}</div>")
    return {row.findtext("th", ""): row.findtext("td", "") for row in root.iter("tr")}


def test_a_report_shows_its_facts_and_its_file(report: edge_pipeline.ExportResult) -> None:
    html = report._repr_html_()
    assert HOSTILE not in html
    facts = cells(html)
    assert facts["columns"] == f"{HOSTILE} (float64), b (float64)"
    assert set(facts["classes"].split(", ")) == {HOSTILE, "low"}
    assert facts["score_on_sample"] == f"{report.manifest.metrics['score_on_sample']:.4f}"
    assert facts[str(report.path)] == f"{report.bundle_bytes:,} bytes"


def test_a_model_on_the_device_shows_the_same_facts(report: edge_pipeline.ExportResult) -> None:
    with edge_runtime.load(report.path) as model:
        facts = cells(model._repr_html_())
    assert facts["task"] == "classification"
    assert facts["evidence predict"].endswith(
        f"{report.manifest.parity.outputs['predict'].rows} rows, 0 differ"
    )


def test_a_comparison_shows_its_verdict(
    report: edge_pipeline.ExportResult, table: pd.DataFrame, tmp_path: Path
) -> None:
    stump = DecisionTreeClassifier(max_depth=1).fit(table, ["low", HOSTILE, HOSTILE, HOSTILE] * 5)
    edge_pipeline.export(stump, table, tmp_path / "other.onnx")
    compared = edge_pipeline.compare(report.path, tmp_path / "other.onnx", table)
    html = compared._repr_html_()
    assert HOSTILE not in html
    assert cells(html)["row 2"] == f"low -> {HOSTILE}"
    assert "5 of 20 rows changed (25 %)" in html
