"""Show the report in a real browser: both themes, a phone's width, no requests, no messages.

Skipped without a browser; on Debian, `apt-get install chromium` installs one.
"""

from __future__ import annotations

from collections.abc import Iterator

import edge_pipeline
import pytest
from pipeline.evaluation.report.browser import Browser, browser_command

pytestmark = pytest.mark.skipif(
    browser_command() is None,
    reason="no browser: the report was NOT checked; apt-get install chromium",
)

MEASURE_LAYOUT = """
(() => {
  const drawings = [...document.querySelectorAll("svg")].map(svg => {
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


@pytest.mark.slow
def test_requests_and_messages_of_a_page_are_recorded(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = tmp_path_factory.mktemp("bad") / "bad.html"
    page.write_text("<img src=absent.png><script>console.error('x'); absent()</script>")
    browser.open(page, width=390, dark=False)
    assert any("absent.png" in url for url in browser.requested_urls)
    assert any("absent is not defined" in text for text in browser.messages)
