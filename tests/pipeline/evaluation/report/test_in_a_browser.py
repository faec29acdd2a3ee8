"""Show the report in a real browser: both themes, a phone's width, no requests, no messages.

Skipped without a browser; on Debian, `apt-get install chromium` installs one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edge_pipeline
import pytest
from pipeline.evaluation.report.browser import Browser, browser_command
from pipeline.evaluation.report.node import PREDICT, random_rows
from pipeline.evaluation.report.test_browser_model import MODELS, assert_equal_to_the_runtime

import edge_runtime

pytestmark = pytest.mark.skipif(
    browser_command() is None,
    reason="no browser: the report was NOT checked; apt-get install chromium",
)

MEASURE_LAYOUT = """
(() => {
  const drawings = [...document.querySelectorAll(".drawing svg")].map(svg => {
    const box = svg.getBoundingClientRect();
    const text = [...svg.querySelectorAll("text")].map(t => t.getBoundingClientRect());
    return {
      width: box.width,
      height: box.height,
      outside: text.filter(t => t.left < box.left - 2 || t.right > box.right + 2).length,
      smallest: Math.min(...text.map(t => t.height)),
    };
  });
  return {
    drawings,
    page: document.documentElement.scrollWidth,
    window: innerWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    line: getComputedStyle(document.querySelector("svg path[style*='--series-1']")).stroke,
  };
})()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser(str(browser_command())) as started_browser:
        yield started_browser


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
@pytest.mark.parametrize("name", ["hostile", "fuel"])
def test_the_page_fits_its_window_and_follows_the_theme(
    browser: Browser, name: str, width: int, dark: bool, request: pytest.FixtureRequest
) -> None:
    export: edge_pipeline.ExportResult = request.getfixturevalue(name)
    assert export.report_files is not None
    browser.messages.clear()
    browser.requested_urls.clear()
    browser.open(export.report_files.page, width=width, dark=dark)
    layout = browser.value(MEASURE_LAYOUT)
    assert layout["page"] <= layout["window"]
    assert layout["paper"] == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
    assert len(layout["drawings"]) >= 5
    for drawing in layout["drawings"]:
        assert drawing["width"] > 250
        assert drawing["height"] > 60
        assert drawing["outside"] == 0
        assert drawing["smallest"] > 7
    assert browser.messages == []
    assert browser.requested_urls == [export.report_files.page.as_uri()]


def test_paper_is_white_whatever_the_screen_is(
    browser: Browser, hostile: edge_pipeline.ExportResult
) -> None:
    assert hostile.report_files is not None
    browser.open(hostile.report_files.page, width=800, dark=True, media="print")
    assert browser.value(MEASURE_LAYOUT)["paper"] == "rgb(255, 255, 255)"


TYPE_ROWS = """
rows => {
  const model = JSON.parse(document.getElementById("model").textContent);
  const fields = model.columns.map((_, i) => document.getElementById(`cell-${i}`));
  return rows.map(row => {
    fields.forEach((field, i) => { field.value = row[i] === null ? "" : String(row[i]); });
    document.querySelector(".row-form button[type=submit]").click();
    const prediction = document.querySelector(".prediction strong");
    return {
      prediction: prediction && prediction.textContent,
      bars: [...document.querySelectorAll(".result .bars li")].map(
        bar => [bar.children[0].textContent, bar.children[2].textContent]),
      flags: [...document.querySelectorAll(".result .flags li")].map(flag => flag.textContent),
      refused: document.querySelectorAll("[aria-invalid=true]").length,
    };
  });
}
"""


def test_the_form_predicts_flags_and_refuses_as_the_device(
    browser: Browser, hostile: edge_pipeline.ExportResult
) -> None:
    assert hostile.report_files is not None
    browser.messages.clear()
    browser.requested_urls.clear()
    browser.open(hostile.report_files.page, width=1100, dark=False)
    assert browser.value("document.getElementById('form-status').dataset.proven") == "yes"
    with edge_runtime.load(hostile.path) as model:
        rows = random_rows(model.schema, 100, seed=4)
        # An empty field stands for a missing value, where the model accepts one.
        rows = [row for row in rows if "" not in row]
        results = browser.value(f"({TYPE_ROWS})({json.dumps(rows)})")
        for row, result in zip(rows, results, strict=True):
            label, flags = model.predict_one_with_flags(row)
            assert result["prediction"] == label
            assert len(result["flags"]) == len(flags)
            proba = dict(
                zip(model.manifest.classes["predict"], model.predict_proba([row])[0], strict=True)
            )
            assert {name: float(value) for name, value in result["bars"]} == {
                name: pytest.approx(value, abs=5.1e-5) for name, value in proba.items()
            }
    (wrong,) = browser.value(f"({TYPE_ROWS})({json.dumps([['many', 1.0, 'plain']])})")
    assert (wrong["prediction"], wrong["refused"]) == (None, 1)
    assert browser.messages == []
    assert browser.requested_urls == [hostile.report_files.page.as_uri()]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_form_of_each_model_answers_a_thousand_rows_as_the_device(
    browser: Browser, name: str, root: Path, tmp_path: Path
) -> None:
    """Labels come from the form itself, numbers from the script behind it, to 1e-12."""
    path = edge_pipeline.build(root / "models" / name, tmp_path / "m.onnx").path
    page = edge_pipeline.report(path).page
    browser.messages.clear()
    browser.requested_urls.clear()
    browser.open(page, width=1100, dark=False)
    status = browser.value("document.getElementById('form-status').textContent")
    with edge_runtime.load(path) as model:
        assert f"{len(model.manifest.golden.rows)} golden rows, every label as expected" in status
        rows = [row for row in random_rows(model.schema, 1000, seed=8) if "" not in row]
        results = browser.value(f"({TYPE_ROWS})({json.dumps(rows)})")
        assert not any(result["refused"] for result in results)
        if model.manifest.task == "classification":
            labels = [str(label) for label in model.predict(rows)]
            assert [result["prediction"] for result in results] == labels

    def run(_: Path, cells: list[list[Any]]) -> Any:
        source = "JSON.parse(document.getElementById('model').textContent)"
        return json.loads(browser.value(f"({PREDICT})({source}, {json.dumps(cells)})"))

    assert_equal_to_the_runtime(path, 1000, run)
    assert browser.messages == []
    assert browser.requested_urls == [page.as_uri()]


def test_a_page_with_a_spoiled_model_hides_its_form(
    browser: Browser, hostile: edge_pipeline.ExportResult, tmp_path: Path
) -> None:
    assert hostile.report_files is not None
    text = hostile.report_files.page.read_text("utf-8")
    assert '"predict":["' in text
    spoiled_page = text.replace('"predict":["', '"predict":["x')
    (tmp_path / "spoiled_page.html").write_text(spoiled_page, encoding="utf-8")
    browser.open(tmp_path / "spoiled_page.html", width=1100, dark=False)
    assert browser.value("document.getElementById('form-status').dataset.proven") == "no"
    assert browser.value("document.getElementById('try-form').hidden")
    assert "The form is off" in browser.value("document.getElementById('form-status').textContent")


def test_the_policy_stops_requests_and_foreign_scripts(
    browser: Browser, hostile: edge_pipeline.ExportResult, tmp_path: Path
) -> None:
    assert hostile.report_files is not None
    text = hostile.report_files.page.read_text("utf-8")
    inserted = "<script>document.title = 'run'</script><img src='absent.png' onerror='x()'>"
    (tmp_path / "changed.html").write_text(text.replace("</main>", inserted), encoding="utf-8")
    browser.open(tmp_path / "changed.html", width=1100, dark=False)
    assert browser.value("document.title") != "run"
    refused = "fetch('other.json').then(() => 'fetched', () => 'refused')"
    assert browser.value(refused) == "refused"
    browser.messages.clear()


def test_a_reader_sorts_rows_and_chooses_a_threshold(
    browser: Browser, hostile: edge_pipeline.ExportResult
) -> None:
    assert hostile.report_files is not None
    evaluation = hostile.report_files.evaluation
    browser.open(hostile.report_files.page, width=1100, dark=False)
    sort = """
    (() => {
      const table = document.querySelector("table.rows");
      table.querySelectorAll("thead button")[3].click();
      return [...table.tBodies[0].rows].map(row => Number(row.cells[3].textContent));
    })()
    """
    numbers = browser.value(sort)
    assert numbers == sorted(numbers)
    assert browser.value(sort) == numbers[::-1]
    counts = evaluation.thresholds
    assert counts is not None
    cheapest = """
    (() => {
      document.getElementById("cost-miss").value = "10";
      const buttons = document.querySelectorAll("#threshold-picker button");
      buttons[0].click();
      const tiles = [...document.querySelectorAll("#threshold-picker .tiles div")];
      return Object.fromEntries(tiles.map(
        tile => [tile.children[0].textContent, tile.children[1].textContent]));
    })()
    """
    costs = [
        alarms + 10 * (counts.positives - hits)
        for hits, alarms in zip(counts.true_positives, counts.false_positives, strict=True)
    ]
    best = costs.index(min(costs))
    tiles = browser.value(cheapest)
    assert float(tiles["cost"]) == min(costs)
    assert float(tiles["threshold"]) == pytest.approx(counts.lowest[best], rel=1e-3)
    assert tiles["missed"].startswith(f"{counts.positives - counts.true_positives[best]} of ")


@pytest.mark.skipif(
    not os.environ.get("AXE_CORE"),
    reason="AXE_CORE names no axe.min.js: accessibility was NOT checked; npm install axe-core",
)
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation(
    browser: Browser,
    hostile: edge_pipeline.ExportResult,
    fuel: edge_pipeline.ExportResult,
    width: int,
) -> None:
    axe = Path(os.environ["AXE_CORE"]).read_text("utf-8")
    for export in (hostile, fuel):
        assert export.report_files is not None
        for dark in (False, True):
            browser.open(export.report_files.page, width=width, dark=dark)
            browser.value(f"{axe};1")
            violations = "axe.run().then(r => r.violations.map(v => v.id))"
            assert browser.value(violations) == []


@pytest.mark.slow
def test_requests_and_messages_of_a_page_are_recorded(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = tmp_path_factory.mktemp("bad") / "bad.html"
    page.write_text("<img src=absent.png><script>console.error('x'); absent()</script>")
    browser.open(page, width=390, dark=False)
    assert any("absent.png" in url for url in browser.requested_urls)
    assert any("absent is not defined" in text for text in browser.messages)
