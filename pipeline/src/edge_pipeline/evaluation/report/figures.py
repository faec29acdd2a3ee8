"""Draw the figures of a report as SVG, in colours that follow the page's theme.

matplotlib draws in placeholder colours.  Each placeholder then becomes a CSS variable of the page,
so one drawing suits a light page, a dark page and a printed page.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from edge_pipeline.evaluation.report.measurements import (
    Calibration,
    CandidateRow,
    Counts,
    Curve,
    Group,
    Importance,
    Measurements,
    Residuals,
)

__all__ = [
    "calibration_figure",
    "counts_figure",
    "curves_figure",
    "groups_figure",
    "importance_figure",
    "learning_figure",
    "loss_figure",
    "memory_figure",
    "residuals_figure",
    "search_figure",
]

INK, MUTED, LINE = "#010101", "#020202", "#030303"
SERIES = ("#040404", "#050505", "#060606", "#070707")
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    **{colour: f"var(--series-{i + 1})" for i, colour in enumerate(SERIES)},
}

DASHES = ("-", "--", ":", "-.")
"""Line styles, so that readers who cannot tell the colours apart can tell the lines apart."""

MAX_BARS = 20
MAX_TICKS = 6
"""Most steps on a horizontal axis whose drawing is narrow beside long names."""

_STYLE: dict[str, Any] = {
    "font.size": 11,
    "font.family": "sans-serif",
    "svg.fonttype": "none",  # text stays text: smaller, and screen readers can read it
    "text.parse_math": False,  # a column may be called $x$
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 2.0,
}


def curves_figure(
    name: str, curves: Sequence[Curve], x: str, y: str, area: str, *, diagonal: bool
) -> str:
    """Draw curves in the unit square, each with its area in the legend."""

    def draw(axes: Any) -> None:
        if diagonal:
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (1, 3)))
        for i, curve in enumerate(curves):
            axes.plot(
                curve.x,
                curve.y,
                color=SERIES[i % len(SERIES)],
                linestyle=DASHES[(i // len(SERIES) + i) % len(DASHES)],
                label=f"{_short(curve.name)}, {area} {curve.area:.3f}",
                drawstyle="default" if diagonal else "steps-post",
            )
        axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.legend(loc="lower right" if diagonal else "best", fontsize=10)

    return _render(name, draw, height=4.0, width=4.2)


def calibration_figure(calibration: Calibration) -> str:
    """Draw predicted probability against observed share, with the diagonal of a perfect model."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (1, 3)))
        axes.plot(
            calibration.said, calibration.came_true, color=SERIES[0], marker="o", markersize=5
        )
        axes.set(
            xlabel=_short(calibration.of, 40),
            ylabel="share of rows in the class",
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            aspect="equal",
        )

    return _render("calibration", draw, height=4.0, width=4.2)


def residuals_figure(residuals: Residuals, index: int) -> str:
    """Draw predicted against true values."""
    true, predicted = residuals.true, residuals.predicted
    of_target = f" of {_short(residuals.name)}" if residuals.name else ""

    def draw(axes: Any) -> None:
        ends = [min((*true, *predicted)), max((*true, *predicted))]
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (1, 3)))
        axes.plot(true, predicted, "o", color=SERIES[0], markersize=4, alpha=0.6, mew=0)
        axes.set(xlabel=f"true value{of_target}", ylabel=f"prediction{of_target}")

    return _render(f"residuals{index}", draw, height=4.0, width=4.2)


def importance_figure(importances: Sequence[Importance], metric: str) -> str:
    """Draw a bar for each column, the largest on top, with the spread of the repeats."""
    bars = list(reversed(importances[:MAX_BARS]))

    def draw(axes: Any) -> None:
        axes.barh(
            [_short(item.column) for item in bars],
            [item.mean for item in bars],
            xerr=[item.std for item in bars],
            color=SERIES[0],
            ecolor=INK,
            height=0.65,
        )
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=MAX_TICKS)
        axes.set_xlabel(f"{_short(metric)} drop when the column is shuffled", loc="right")

    return _render("importance", draw, height=0.9 + 0.32 * len(bars))


def groups_figure(groups: Sequence[Group], error_name: str) -> str:
    """Draw each group as a point with its interval, groups of the same column close together."""
    names, heights, height = [], [], 0.0
    previous_column = None
    for group in groups:
        height += 1.0 if group.column == previous_column else 1.6
        previous_column = group.column
        names.append(f"{_short(group.column, 16)}: {_short(group.group, 18)} ({group.rows})")
        heights.append(-height)

    def draw(axes: Any) -> None:
        axes.errorbar(
            [group.value for group in groups],
            heights,
            xerr=[
                [0.0 if g.low is None else max(0.0, g.value - g.low) for g in groups],
                [0.0 if g.high is None else max(0.0, g.high - g.value) for g in groups],
            ],
            fmt="o",
            color=SERIES[0],
            ecolor=INK,
            elinewidth=1,
            capsize=3,
        )
        axes.set_yticks(heights, names)
        axes.locator_params(axis="x", nbins=MAX_TICKS)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(error_name, loc="right")  # a centred label would leave a narrow drawing
        axes.set_xlim(left=0.0)

    return _render("groups", draw, height=1.0 + 0.3 * height)


def counts_figure(counts: Counts) -> str:
    """Draw a bar for each predicted label."""

    def draw(axes: Any) -> None:
        labels = [_short(label) for label in reversed(counts.labels)]
        axes.barh(labels, list(reversed(counts.counts)), color=SERIES[0], height=0.65)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="rows")

    return _render("answers", draw, height=0.9 + 0.32 * len(counts.labels))


def learning_figure(curves: Sequence[Curve], metric: str) -> str:
    """Draw the metric against the number of training rows."""

    def draw(axes: Any) -> None:
        for i, curve in enumerate(curves):
            axes.plot(
                curve.x,
                curve.y,
                color=SERIES[i],
                marker="os"[i % 2],
                linestyle=DASHES[i],
                label=curve.name,
            )
            axes.fill_between(curve.x, curve.low, curve.high, color=SERIES[i], alpha=0.15, lw=0)
        axes.set(xlabel="training rows", ylabel=metric)
        _legend_above(axes, 2)

    return _render("learning", draw, height=3.8)


def loss_figure(curve: Curve) -> str:
    """Draw the training loss, epoch by epoch."""

    def draw(axes: Any) -> None:
        axes.plot(curve.x, curve.y, color=SERIES[0])
        axes.set(xlabel="epoch", ylabel="training loss")
        if min(curve.y) > 0 and max(curve.y) > 20 * min(curve.y):
            axes.set_yscale("log")
            _plain_numbers(axes)

    return _render("loss", draw, height=3.6)


def search_figure(candidates: Sequence[CandidateRow], metric: str, folds: int, noise: float) -> str:
    """Draw score against latency of the measured candidates, with a line along the Pareto front.

    Parameters
    ----------
    folds
        Number of scores behind each mean, for its standard error.
    noise
        Relative difference of two measurements of the same time.
    """
    timed = [candidate for candidate in candidates if candidate.latency_us is not None]
    families = list(dict.fromkeys(candidate.family for candidate in timed))

    def draw(axes: Any) -> None:
        front = sorted((c.latency_us or 0.0, c.score) for c in timed if c.front)
        axes.plot(*zip(*front, strict=True), color=MUTED, linewidth=1, linestyle="--")
        for i, family in enumerate(families):
            of_family = [candidate for candidate in timed if candidate.family == family]
            axes.errorbar(
                [candidate.latency_us for candidate in of_family],
                [candidate.score for candidate in of_family],
                xerr=[noise * (candidate.latency_us or 0.0) for candidate in of_family],
                yerr=[candidate.spread / folds**0.5 for candidate in of_family],
                fmt="osD^"[i % 4],
                elinewidth=0.8,
                color=SERIES[i % len(SERIES)],
                label=_short(family),
            )
        selected = [candidate for candidate in timed if candidate.chosen]
        axes.plot(
            [candidate.latency_us for candidate in selected],
            [candidate.score for candidate in selected],
            "o",
            markersize=14,
            markerfacecolor="none",
            markeredgecolor=INK,
            label="chosen",
        )
        axes.set(xlabel="microseconds a row, median", ylabel=_short(metric))
        _legend_above(axes, 3)

    return _render("tried", draw, height=3.8)


def memory_figure(measurements: Measurements) -> str:
    """Draw one bar: memory of Python, numpy and onnxruntime, and what the model adds."""
    empty = measurements.empty_memory_mb
    added = max(0.0, measurements.peak_memory_mb - empty)

    def draw(axes: Any) -> None:
        axes.barh([""], [empty], color=SERIES[2], height=0.5, label="Python, numpy, onnxruntime")
        axes.barh([""], [added], left=[empty], color=SERIES[1], height=0.5, label="model and rows")
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="peak MiB")
        _legend_above(axes, 2)

    return _render("memory", draw, height=1.7)


def _legend_above(axes: Any, columns: int) -> None:
    """Put the legend above the axes, where it cannot hide a line."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, fontsize=10)


def _plain_numbers(axes: Any) -> None:
    """Write the numbers of the y axis in full; powers of ten would be drawn as formulas."""
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.15g}")
    axes.minorticks_off()


def _render(name: str, draw: Callable[[Any], None], *, height: float, width: float = 5.2) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {**_STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings(), _silenced("matplotlib.font_manager"):
        warnings.simplefilter("ignore")  # the browser has letters that matplotlib's font lacks
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return _for_page(text.getvalue(), name)


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    """Silence a logger: matplotlib reports its first search for fonts."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _for_page(svg: str, name: str) -> str:
    """Embed the SVG: no metadata, fixed size or XML header, the page's colours, unique ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' id="([^"]+)"', rf' id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r"<svg ", '<svg aria-hidden="true" focusable="false" ', svg, count=1)
    return _coloured(svg, _VARIABLES)


def _coloured(svg: str, variables: Mapping[str, str]) -> str:
    for colour, variable in variables.items():
        svg = svg.replace(colour, variable)
    # A style attribute understands var(); fill="..." by itself does not.
    return re.sub(r'(fill|stroke)="(var\([^"]+)"', r'style="\1: \2"', svg)


def _short(text: str, max_letters: int = 28) -> str:
    """Shorten *text* to leave room for the drawing, and replace control characters."""
    clean = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    # matplotlib omits labels that begin with an underscore from the legend.
    clean = f"\u200b{clean}" if clean.startswith("_") else clean
    return clean if len(clean) <= max_letters else f"{clean[: max_letters - 1]}…"
