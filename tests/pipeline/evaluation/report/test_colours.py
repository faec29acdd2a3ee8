"""Text and lines of a report stand out from the paper, by the contrast of WCAG 2.2."""

import re
from pathlib import Path

import pytest


def luminance(colour: str) -> float:
    """Compute the relative luminance of WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(first: str, second: str, share: float) -> str:
    """Mix two colours as CSS ``color-mix(in srgb)`` does."""
    pairs = [(int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def themes() -> list[dict[str, str]]:
    from edge_pipeline.evaluation.report import page

    css = (Path(page.__file__).parent / "templates/report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(theme: dict[str, str]) -> None:
    for name in ("ink", "muted", "good", "bad"):
        assert contrast(theme[name], theme["paper"]) >= 4.5, name
    for name in ("ink", "muted"):
        assert contrast(theme[name], theme["raised"]) >= 4.5, name
    # A cell of the confusion matrix is at most three tenths of the first colour.
    assert contrast(theme["ink"], mixed(theme["series-1"], theme["paper"], 0.3)) >= 4.5
    for i in range(1, 5):
        # Of lines and bars WCAG asks for 3 (1.4.11).
        assert contrast(theme[f"series-{i}"], theme["paper"]) >= 4.5, i
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
