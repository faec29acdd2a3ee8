"""The service's page in a real browser: both themes, phone and desktop, no message, no stranger."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from device import models
from pipeline.evaluation.report.browser import Browser, browser_command

import edge_runtime

from .test_serving import Serve

pytestmark = pytest.mark.skipif(
    browser_command() is None,
    reason="no browser: the page was NOT checked; apt-get install chromium",
)

WAIT = """
new Promise((done, fail) => {{
  const began = Date.now();
  const look = () => ({condition}) ? done({value}) :
    Date.now() - began > 20000 ? fail(new Error("{condition}")) : setTimeout(look, 20);
  look();
}})
"""
LAYOUT = """
({page: document.documentElement.scrollWidth, window: innerWidth,
  paper: getComputedStyle(document.body).backgroundColor,
  smallest: Math.min(...[...document.querySelectorAll("input, select, button")]
    .filter(e => e.offsetParent).map(e => e.offsetHeight))})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser(browser_command() or "") as opened:
        yield opened


def wait(browser: Browser, condition: str, value: str = "1") -> object:
    return browser.value(WAIT.format(condition=condition, value=value))


def test_the_page_predicts_what_the_library_predicts(
    serve: Serve, browser: Browser, mixed: Path, tmp_path: Path
) -> None:
    service = serve(mixed)
    pictures = Path(os.environ.get("EDGE_PICTURES", tmp_path))
    for width, dark in [(1200, False), (1200, True), (390, False), (390, True)]:
        browser.messages.clear()
        browser.requested_urls.clear()
        browser.open(service.address + "/", width=width, dark=dark)
        wait(browser, "document.querySelectorAll('[data-column]').length === 5")
        row = {"height": 1.75, "city": "Rome", "children": 2, "smoker": True, "street": "<b>a"}
        for i, value in enumerate(["1.75", "Rome", "2", "true", "<b>a"]):
            browser.value(f"document.querySelector('[data-column=\"{i}\"]').value = {value!r}")
        browser.value("document.getElementById('predict').click()")
        condition = "document.querySelectorAll('.flag').length === 1"
        prediction = wait(browser, condition, "document.getElementById('prediction').textContent")
        with edge_runtime.load(mixed) as model:
            assert float(str(prediction)) == model.predict_one(row)
        flags = browser.value("document.getElementById('flags').textContent")
        assert flags == "city: Rome was not in training"
        wait(browser, "document.getElementById('health').textContent === '● ready'")
        layout = browser.value(LAYOUT)
        assert layout["page"] <= layout["window"]
        assert layout["smallest"] >= 40  # for a thumb
        channels = re.findall(r"\d+", layout["paper"])
        assert (int(channels[0]) < 128) is dark
        assert browser.messages == []
        assert all(url.startswith(service.address) for url in browser.requested_urls)
        browser.picture(pictures / f"service-{width}-{'dark' if dark else 'light'}.png")


def test_the_page_refuses_and_shows_probabilities(
    serve: Serve, browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "hostile.onnx"
    evil = "<img src=x onerror=alert(1)>"
    path.write_bytes(models.classifier(("<i>a</i>", "b", "c")).sealed(name=evil))
    service = serve(path)
    browser.messages.clear()
    browser.open(service.address + "/", width=1200, dark=False)
    wait(browser, "document.querySelectorAll('[data-column]').length === 3")
    browser.value("document.getElementById('predict').click()")
    wait(browser, "document.querySelectorAll('meter').length === 3")
    shares = browser.value("[...document.querySelectorAll('meter')].map(m => m.value)")
    assert sum(shares) == pytest.approx(1)
    assert browser.value("document.querySelectorAll('i').length") == 0
    browser.value("document.querySelector('[data-column]').value = 'high'")
    browser.value("document.getElementById('predict').click()")
    error = "document.querySelector('#prediction.error')"
    assert "high" in str(wait(browser, error, f"{error}.textContent"))
    assert browser.value("document.images.length") == 0
    (message,) = browser.messages
    assert "422" in message


def test_the_page_asks_for_the_token(
    serve: Serve, browser: Browser, tiny: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    service = serve(tiny, "--token-file", token)
    browser.open(service.address + "/", width=390, dark=False)
    wait(browser, "!document.getElementById('login').hidden")
    assert browser.value("document.querySelectorAll('[data-column]').length") == 0
    browser.value("document.getElementById('token').value = '0123456789abcdef'")
    browser.value("document.querySelector('#login button').click()")
    wait(browser, "document.querySelectorAll('[data-column]').length === 3")
    assert browser.value("document.getElementById('login').hidden") is True


def test_no_other_page_may_frame_or_script_it(serve: Serve, tiny: Path) -> None:
    service = serve(tiny)
    connection = service.connection()
    connection.request("GET", "/")
    response = connection.getresponse()
    text = response.read().decode()
    policy = response.getheader("Content-Security-Policy") or ""
    connection.close()
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?://|innerHTML|eval\(| on\w+=", text)
