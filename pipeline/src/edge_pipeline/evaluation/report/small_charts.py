"""Draw small histograms and lines as SVG by hand: a page may have a hundred of them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from edge_pipeline.evaluation.report.measurements import Dependence, Histogram
from edge_pipeline.evaluation.report.number_text import number_text

__all__ = ["dependence_chart", "histogram_chart"]

WIDTH, HEIGHT = 220, 64
LINE_HEIGHT = 110
MARGIN = 4
SCALE_WIDTH = 48
"""Room for the numbers of the vertical axis."""

MAX_LETTERS = 14
LABEL_HEIGHT = 16
SERIES = 4
DASHES = ("", "7 3", "2 3", "9 3 2 3")


def histogram_chart(histogram: Histogram) -> Markup:
    """Draw the training rows as bars, and the test rows as a line of the same area."""
    train, test = histogram.train, histogram.test
    if not train:
        return Markup("")
    highest = max(_shares(train) + _shares(test) + [1e-12])
    width = (WIDTH - 2 * MARGIN) / len(train)
    gap = min(width * 0.15, 3.0)
    bars = "".join(
        f"M{MARGIN + i * width + gap / 2:.1f} {HEIGHT}v{-share / highest * (HEIGHT - 6):.1f}"
        f"h{width - gap:.1f}V{HEIGHT}z"
        for i, share in enumerate(_shares(train))
        if share
    )
    line = ""
    if test:
        heights = [HEIGHT - share / highest * (HEIGHT - 6) for share in _shares(test)]
        steps = "".join(f"V{height:.1f}h{width:.1f}" for height in heights)
        line = f'<path class="line" d="M{MARGIN} {HEIGHT}{steps}V{HEIGHT}"/>'
    ends = histogram.labels or tuple(map(number_text, histogram.edges))
    labels = _labels(ends, bool(histogram.labels), width)
    return _svg(HEIGHT + LABEL_HEIGHT, f'<path class="bar" d="{bars}"/>{line}{_base()}{labels}')


def dependence_chart(dependence: Dependence, low: float, high: float) -> Markup:
    """Draw the mean prediction by the value of a column: lines for numbers, dots for categories.

    Parameters
    ----------
    low, high
        Ends of the vertical axis, shared by the charts of all columns.
    """
    numbers = [value for value in dependence.values if isinstance(value, float)]
    count = len(dependence.values)
    lowest, highest = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    span = (highest - lowest) or 1.0
    inner = WIDTH - SCALE_WIDTH - MARGIN
    if numbers:
        xs = [SCALE_WIDTH + (value - lowest) / span * inner for value in numbers]
    else:
        xs = [SCALE_WIDTH + (i + 0.5) * inner / count for i in range(count)]
    parts = []
    for i, curve in enumerate(dependence.curves):
        ys = [LINE_HEIGHT - 4 - (y - low) / (high - low) * (LINE_HEIGHT - 14) for y in curve.y]
        colour = f"var(--series-{i % SERIES + 1})"
        points = list(zip(xs, ys, strict=True))
        if numbers:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(
                f'<polyline points="{path}" style="stroke:{colour}" '
                f'stroke-dasharray="{DASHES[i % SERIES]}"/>'
            )
        else:
            dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points)
            parts.append(f'<g style="fill:{colour}">{dots}</g>')
    ends = (number_text(lowest), number_text(highest)) if numbers else dependence.values
    labels = _labels(
        tuple(map(str, ends)), not numbers, inner / count, start=SCALE_WIDTH, height=LINE_HEIGHT
    )
    at = f'<text x="{SCALE_WIDTH - 6}" text-anchor="end"'
    scale = (
        f'{at} y="12">{number_text(high, 3)}</text>'
        f'{at} y="{LINE_HEIGHT - 2}">{number_text(low, 3)}</text>'
    )
    base = _base(SCALE_WIDTH, LINE_HEIGHT)
    return _svg(LINE_HEIGHT + LABEL_HEIGHT, base + scale + "".join(parts) + labels)


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts] if total else []


def _base(start: int = MARGIN, height: int = HEIGHT) -> str:
    return f'<path class="base" d="M{start} {height}H{WIDTH - MARGIN}"/>'


def _labels(
    texts: Sequence[str],
    are_bars: bool,
    width: float,
    *,
    start: int = MARGIN,
    height: int = HEIGHT,
) -> str:
    """Write a label below each bar where they fit, else the first and the last."""
    y = height + 13
    longest = max(map(len, texts), default=0)
    if are_bars and min(longest, MAX_LETTERS) * 6.2 <= width:
        return "".join(
            f'<text x="{start + (i + 0.5) * width:.1f}" y="{y}" text-anchor="middle">'
            f"{escape(_short(text))}</text>"
            for i, text in enumerate(texts)
        )
    first = f'<text x="{start}" y="{y}">{escape(_short(texts[0]))}</text>'
    last = (
        f'<text x="{WIDTH - MARGIN}" y="{y}" text-anchor="end">{escape(_short(texts[-1]))}</text>'
    )
    return first + last


def _short(text: str) -> str:
    clean = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return clean if len(clean) <= MAX_LETTERS else f"{clean[: MAX_LETTERS - 1]}…"


def _svg(height: int, content: str) -> Markup:
    return Markup(
        f'<svg class="small" viewBox="0 0 {WIDTH} {height}" aria-hidden="true" focusable="false">'
        f"{content}</svg>"
    )
