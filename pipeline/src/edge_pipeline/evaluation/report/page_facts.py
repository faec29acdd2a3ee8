"""Compute what the HTML page shows besides the facts that the card shows too."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from edge_runtime.bundle.manifest import Manifest
from markupsafe import Markup

from edge_pipeline.evaluation.report import tables
from edge_pipeline.evaluation.report.measurements import Dependence, Evaluation, Histogram
from edge_pipeline.evaluation.report.page_script import json_in_script
from edge_pipeline.evaluation.report.small_charts import dependence_chart, histogram_chart

__all__ = ["anomaly_chart", "page_facts", "time_noise"]

LEAST_TIME_NOISE = 0.05
"""Relative difference of two times below which nothing is claimed, even if they agree better."""


def page_facts(manifest: Manifest, e: Evaluation) -> dict[str, Any]:
    """Return the variables of the HTML template that the card does not need."""
    by_target = groupby(e.classes, key=lambda score: score.target)
    return {
        "class_tables": [(t, tables.classes_table(list(scores))) for t, scores in by_target],
        "quality": e.scores or manifest.metrics or e.answers or e.anomaly_scores,
        "thresholds_json": _thresholds_json(e),
        "threshold_table": e.thresholds and tables.thresholds_table(e.thresholds),
        "worst_rows": e.rows and tables.rows_table(e.rows),
        "groups_table": e.groups and tables.groups_table(e.groups, str(e.groups_of)),
        "uses_columns": e.importance or e.dependence,
        "has_training": e.learning or e.loss or e.warnings or e.training_seconds is not None,
        "has_speed": e.measured or manifest.limits,
        "candidates": e.tried and tables.candidates_table(e),
        "search_note": _search_note(e),
        "evidence_table": tables.evidence_table(manifest),
        "latency": e.measured and tables.latency_table(e.measured),
        "drift": tables.drift_table(manifest),
        "column_cards": [_card(histogram) for histogram in e.histograms],
        "has_test_bars": any(histogram.test for histogram in e.histograms),
        **_rows_texts(e),
        **_dependence(e, manifest),
    }


def time_noise(e: Evaluation) -> float:
    """Return the relative difference of the two measurements of the chosen candidate's time."""
    first = next((c.latency_us for c in e.tried if c.chosen and c.latency_us), None)
    if first is None or e.measured is None:
        return LEAST_TIME_NOISE
    return max(LEAST_TIME_NOISE, abs(e.measured.latency_us_p50 / first - 1))


def anomaly_chart(e: Evaluation) -> Markup | None:
    """Draw the scores of an anomaly detector."""
    return None if e.anomaly_scores is None else histogram_chart(e.anomaly_scores)


def _thresholds_json(e: Evaluation) -> Markup | None:
    return None if e.thresholds is None else json_in_script(e.thresholds.model_dump())


def _rows_texts(e: Evaluation) -> dict[str, str]:
    """Name the table of single rows by what it holds."""
    heading, caption = "Rows that it gets wrong", ""
    if e.rows is not None:
        n_listed, total = len(e.rows.rows), e.rows.total
        is_regression = e.rows.badness in ("absolute error", "error / standard deviation")
        if is_regression:
            heading = "Rows with the largest errors"
            caption = f"The {n_listed} test rows with the largest errors, of {total:,}"
        elif e.rows.badness == "anomaly score":
            heading = "Most anomalous rows"
            caption = f"The {n_listed} rows with the lowest scores; {total:,} rows are flagged"
        else:
            order = ", the most certain first" if e.rows.badness else ""
            first = f"{n_listed} of the {total:,}" if n_listed < total else f"{total:,}"
            rows = "row" if total == 1 else "rows"
            caption = f"{first} test {rows} with a wrong prediction{order}"
        caption += "; row is the place in the table, from 1"
    return {"rows_heading": heading, "rows_caption": caption}


def _search_note(e: Evaluation) -> str:
    noise = time_noise(e)
    timed = [c for c in e.tried if c.latency_us is not None]
    if len(timed) < 2:
        return ""
    return (
        f"Noise: times that differ by less than {noise:.0%}, and scores within their standard "
        f"error over {e.tried_folds or 1} folds, count as equal. Where no candidate is both "
        "faster and worse beyond that, there is no choice to draw."
    )


def _card(histogram: Histogram) -> dict[str, Any]:
    notes = []
    n_rows = sum(histogram.train) + histogram.missing_train
    if histogram.missing_train:
        notes.append(f"{histogram.missing_train / n_rows:.1%} missing".replace("%", "\u00a0%"))
    if histogram.missing_test:
        n_test = sum(histogram.test) + histogram.missing_test
        notes.append(
            f"{histogram.missing_test / n_test:.1%} missing in test rows".replace("%", "\u00a0%")
        )
    return {
        "name": histogram.column,
        "of": f"{histogram.of} a row" if histogram.of else "",
        "chart": histogram_chart(histogram),
        "label": _histogram_label(histogram),
        "note": "; ".join(notes),
    }


def _histogram_label(histogram: Histogram) -> str:
    if not histogram.train:
        return f"{histogram.column}: no value"
    most = max(range(len(histogram.train)), key=histogram.train.__getitem__)
    if histogram.labels:
        where = histogram.labels[most]
    else:
        where = f"between {histogram.edges[most]:.4g} and {histogram.edges[most + 1]:.4g}"
    return (
        f"Histogram of {histogram.column}: {histogram.train[most]:,} of "
        f"{sum(histogram.train):,} training rows are {where}"
    )


def _dependence(e: Evaluation, manifest: Manifest) -> dict[str, Any]:
    heights = [y for item in e.dependence for curve in item.curves for y in curve.y]
    names = [curve.name for curve in e.dependence[0].curves] if e.dependence else []
    low, high = (min(heights), max(heights)) if heights else (0.0, 1.0)
    if manifest.task == "classification" and 0 <= low <= high <= 1:
        low, high = 0.0, 1.0
    if not low < high:
        low, high = low - 0.5, high + 0.5
    return {
        "dependence_charts": [(dependence_chart(d, low, high), d) for d in e.dependence],
        "dependence_names": names,
        "dependence_heading": _dependence_heading(e, manifest, names),
        "dependence_label": _dependence_label,
    }


def _dependence_heading(e: Evaluation, manifest: Manifest, names: Sequence[str]) -> str:
    if manifest.task == "classification":
        of_class = f" of {names[0]}" if len(names) == 1 else ""
        return f"Mean probability{of_class} by the value of a column"
    if manifest.task == "anomaly":
        return "Mean score by the value of a column"
    target = e.source.target if e.source is not None and e.source.target else "the prediction"
    return f"Mean of {target} by the value of a column"


def _dependence_label(item: Dependence) -> str:
    ends = ", ".join(
        f"{curve.name + ' ' if curve.name else ''}from {curve.y[0]:.3g} to {curve.y[-1]:.3g}"
        for curve in item.curves
    )
    first, last = item.values[0], item.values[-1]
    return f"Partial dependence on {item.column}, between {first} and {last}: {ends}"
