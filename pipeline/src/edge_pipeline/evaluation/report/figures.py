"""Curves and counts in; drawings as SVG out, whose colours follow the page's theme.

matplotlib draws with stand-ins, and each becomes a variable of the page's style sheet: so one
drawing serves a light page, a dark one and a printed one.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from edge_pipeline.evaluation.report.evaluation import (
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
    "latency_figure",
    "learning_figure",
    "loss_figure",
    "memory_figure",
    "residuals_figure",
    "tried_figure",
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
"""Lines differ by more than their colour, for those who cannot tell colours apart."""

MOST_BARS = 20

_STYLE: dict[str, Any] = {
    "font.size": 11,
    "font.family": "sans-serif",
    "svg.fonttype": "none",  # text stays text: smaller, and read aloud
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
    """Curves within the unit square, each with its area in the legend."""

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
        axes.legend(loc="lower right" if diagonal else "lower left", fontsize=10)

    return _drawn(name, draw, height=4.0, width=4.2)


def calibration_figure(found: Calibration) -> str:
    """Said against true, with the diagonal of a perfect model."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (1, 3)))
        axes.plot(found.said, found.came_true, color=SERIES[0], marker="o", markersize=5)
        axes.set(
            xlabel=_short(found.of, 40),
            ylabel="share that came true",
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            aspect="equal",
        )

    return _drawn("calibration", draw, height=4.0, width=4.2)


def residuals_figure(found: Residuals, place: int) -> str:
    """Predicted against true."""

    def draw(axes: Any) -> None:
        ends = [min((*found.true, *found.predicted)), max((*found.true, *found.predicted))]
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (1, 3)))
        axes.plot(found.true, found.predicted, "o", color=SERIES[0], markersize=4, alpha=0.6, mew=0)
        axes.set(xlabel="true value", ylabel="predicted")

    return _drawn(f"residuals{place}", draw, height=4.0, width=4.2)


def importance_figure(found: Sequence[Importance], metric: str) -> str:
    """A bar a column, the largest on top, with the spread of the repeats."""
    shown = list(reversed(found[:MOST_BARS]))

    def draw(axes: Any) -> None:
        axes.barh(
            [_short(item.column) for item in shown],
            [item.mean for item in shown],
            xerr=[item.std for item in shown],
            color=SERIES[0],
            ecolor=INK,
            height=0.65,
        )
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"{_short(metric)} lost when the column is shuffled", loc="right")

    return _drawn("importance", draw, height=0.9 + 0.32 * len(shown))


def groups_figure(found: Sequence[Group], of: str) -> str:
    """A point and its interval a group, under the name of its column."""
    names, places, at = [], [], 0.0
    before = None
    for group in found:
        at += 1.0 if group.column == before else 1.6
        before = group.column
        names.append(f"{_short(group.column, 16)}: {_short(group.group, 18)} ({group.rows})")
        places.append(-at)

    def draw(axes: Any) -> None:
        axes.errorbar(
            [group.value for group in found],
            places,
            xerr=[
                [0.0 if g.low is None else max(0.0, g.value - g.low) for g in found],
                [0.0 if g.high is None else max(0.0, g.high - g.value) for g in found],
            ],
            fmt="o",
            color=SERIES[0],
            ecolor=INK,
            elinewidth=1,
            capsize=3,
        )
        axes.set_yticks(places, names)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(of, loc="right")  # from the middle of a narrow drawing it would stick out
        axes.set_xlim(left=0.0)

    return _drawn("groups", draw, height=1.0 + 0.3 * at)


def counts_figure(found: Counts) -> str:
    """A bar an answer."""

    def draw(axes: Any) -> None:
        labels = [_short(label) for label in reversed(found.labels)]
        axes.barh(labels, list(reversed(found.counts)), color=SERIES[0], height=0.65)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="rows")

    return _drawn("answers", draw, height=0.9 + 0.32 * len(found.labels))


def learning_figure(curves: Sequence[Curve], metric: str) -> str:
    """The metric with more and more rows to learn from."""

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

    return _drawn("learning", draw, height=3.8)


def loss_figure(curve: Curve) -> str:
    """The loss, epoch by epoch."""

    def draw(axes: Any) -> None:
        axes.plot(curve.x, curve.y, color=SERIES[0])
        axes.set(xlabel="epoch", ylabel="loss on the rows learnt from")
        if min(curve.y) > 0 and max(curve.y) > 20 * min(curve.y):
            axes.set_yscale("log")
            _plain_numbers(axes)

    return _drawn("loss", draw, height=3.6)


def tried_figure(found: Sequence[CandidateRow], metric: str) -> str:
    """Score against time, for what was measured; those that no other beats are joined."""
    measured = [item for item in found if item.latency_us is not None]
    families = list(dict.fromkeys(item.family for item in measured))

    def draw(axes: Any) -> None:
        front = sorted((i.latency_us or 0.0, i.score) for i in measured if i.front)
        axes.plot(*zip(*front, strict=True), color=MUTED, linewidth=1, linestyle="--")
        for i, family in enumerate(families):
            of_family = [item for item in measured if item.family == family]
            axes.plot(
                [item.latency_us for item in of_family],
                [item.score for item in of_family],
                "osD^"[i % 4],
                color=SERIES[i % len(SERIES)],
                label=_short(family),
            )
        chosen = [item for item in measured if item.chosen]
        axes.plot(
            [item.latency_us for item in chosen],
            [item.score for item in chosen],
            "o",
            markersize=14,
            markerfacecolor="none",
            markeredgecolor=INK,
            label="chosen",
        )
        axes.set(xlabel="microseconds a row, half of the calls", ylabel=_short(metric))
        _legend_above(axes, 3)

    return _drawn("tried", draw, height=3.8)


def latency_figure(found: Measurements) -> str:
    """Microseconds a call against rows a call, half of the calls and all but a hundredth."""
    sizes = [size for size in sorted(found.batches) if size]

    def draw(axes: Any) -> None:
        for i, (quantile, label) in enumerate((("p50", "half of the calls"), ("p99", "99 %"))):
            values = [found.batches[size][quantile] for size in sizes]
            axes.plot(
                sizes,
                values,
                color=SERIES[i],
                marker="os"[i],
                linestyle=DASHES[i],
                label=f"{label} took no longer",
            )
        if 0 in found.batches:
            one = found.batches[0]["p50"]
            axes.plot([1], [one], "D", color=SERIES[2], label="predict_one, half of the calls")
        axes.set(xscale="log", yscale="log", xlabel="rows a call", ylabel="microseconds a call")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        _plain_numbers(axes)
        _legend_above(axes, 1)

    return _drawn("latency", draw, height=4.2)


def memory_figure(found: Measurements) -> str:
    """One bar: what Python, numpy and onnxruntime take, and what the model adds."""
    empty, added = found.empty_memory_mb, max(0.0, found.peak_memory_mb - found.empty_memory_mb)

    def draw(axes: Any) -> None:
        axes.barh([""], [empty], color=SERIES[2], height=0.5, label="Python, numpy, onnxruntime")
        axes.barh([""], [added], left=[empty], color=SERIES[1], height=0.5, label="model and rows")
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="MiB at most")
        _legend_above(axes, 2)

    return _drawn("memory", draw, height=1.7)


def _legend_above(axes: Any, columns: int) -> None:
    """Where it cannot hide a line."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, fontsize=10)


def _plain_numbers(axes: Any) -> None:
    """No powers of ten on the upright axis: they would be formulas, and those are not read."""
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.15g}")
    axes.minorticks_off()


def _drawn(name: str, draw: Callable[[Any], None], *, height: float, width: float = 5.2) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {**_STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings(), _unlogged("matplotlib.font_manager"):
        warnings.simplefilter("ignore")  # a letter that matplotlib's font lacks, the browser has
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return _for_page(text.getvalue(), name)


@contextmanager
def _unlogged(name: str) -> Iterator[None]:
    """Keep a logger silent: that fonts are looked for the first time is no news to anybody."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _for_page(svg: str, name: str) -> str:
    """Without what only a file needs, with the page's colours, and names that occur once."""
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


def _short(text: str, most: int = 28) -> str:
    """*text* so that it leaves room for the drawing, and cannot steer anything."""
    clean = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    # matplotlib leaves out of the legend what begins with an underscore.
    clean = f"\u200b{clean}" if clean.startswith("_") else clean
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"
