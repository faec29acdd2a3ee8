"""A sealed file's own words and an Evaluation in; a page in HTML and a card in Markdown out.

Pure: nothing is read or measured here.  Both show the same facts, computed once in :func:`facts`.
"""

from __future__ import annotations

import re
from pprint import pformat
from typing import Any, NamedTuple

from edge_runtime.benchmark import Timing, compare_with_limits
from edge_runtime.bundle.layout import Bundle
from edge_runtime.bundle.manifest import Manifest, OutputEvidence
from edge_runtime.bundle.schema import Column
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edge_pipeline.evaluation.report import figures
from edge_pipeline.evaluation.report.evaluation import Evaluation, Group, Score

__all__ = ["SealedFile", "facts", "render_card", "render_page"]

MOST_COLUMNS = 200
"""Columns listed; a page with more is no longer read."""

MOST_CATEGORIES = 8
FIGURES = (
    "calibration", "roc", "precision_recall", "importance", "groups", "answers", "learning",
    "loss", "tried", "latency", "memory",
)  # fmt: skip
MOST_CLASSES = 12


class SealedFile(NamedTuple):
    """A sealed file, read: its parts, its name, and its size."""

    bundle: Bundle
    file: str
    size: int


def render_page(told: SealedFile, evaluation: Evaluation) -> str:
    """One HTML page that needs nothing besides itself."""
    found = facts(told, evaluation)
    made = _figures(evaluation)
    found["figures"] = {name: Markup(made[name]) if name in made else None for name in FIGURES}
    found["residual_figures"] = [
        Markup(figures.residuals_figure(item, i)) for i, item in enumerate(evaluation.residuals)
    ]
    return _environment(autoescape=True).get_template("report.html.j2").render(found)


def render_card(told: SealedFile, evaluation: Evaluation) -> str:
    """The same as a model card in Markdown, without drawings."""
    found = facts(told, evaluation)
    text = _environment(autoescape=False).get_template("card.md.j2").render(found)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def facts(told: SealedFile, evaluation: Evaluation) -> dict[str, Any]:
    """Everything that is told, as the templates take it."""
    manifest, seal = told.bundle.manifest, told.bundle.seal
    return {
        "m": manifest,
        "e": evaluation,
        "file": told.file,
        "headline": _headline(manifest),
        "columns": [_column(column) for column in manifest.schema.columns[:MOST_COLUMNS]],
        "columns_more": max(0, len(manifest.schema.columns) - MOST_COLUMNS),
        "outputs": [(o.name, o.method, o.dtype) for o in manifest.outputs],
        "scores": [_score(score) for score in evaluation.scores] or _bare_scores(manifest),
        "evidence": [(name, e, _level(e)) for name, e in manifest.parity.outputs.items()],
        "limits": _limits(manifest, evaluation, told.size),
        "example": example_row(manifest),
        "seal": seal,
        "size": told.size,
        "confusion": _confusion(evaluation),
    }


def example_row(manifest: Manifest) -> str:
    """A row as a Python program would hand it to ``predict_one``, as source."""
    return pformat(_example(manifest), width=68, sort_dicts=False, compact=True)


def _example(manifest: Manifest) -> Any:
    schema = manifest.schema
    if schema.loose:
        rows = manifest.golden.rows
        return rows[0][0] if rows else "some text"
    cells = [_cell(column, manifest) for column in schema.columns]
    return dict(zip(schema.names, cells, strict=True)) if schema.kind == "table" else cells


def _cell(column: Column, manifest: Manifest) -> Any:
    if column.is_string:
        return column.categories[0] if column.categories else "text"
    middle = manifest.baseline.get(column.name, {}).get("q50", column.minimum or 0.0)
    if column.type == "bool":
        return bool(middle)
    return round(middle) if column.type == "int64" else float(f"{middle:.6g}")


def _headline(manifest: Manifest) -> str:
    count = len(manifest.schema.columns)
    what = {
        "text": "a text",
        "dicts": "a dict",
        "lists": "a list",
    }.get(manifest.schema.kind, f"{count} column{'s' * (count != 1)}")
    labels = manifest.classes.get("predict", ())
    if labels and not isinstance(labels[0], list):
        shown = ", ".join(map(str, labels[:MOST_CLASSES]))
        more = f" and {len(labels) - MOST_CLASSES} more" if len(labels) > MOST_CLASSES else ""
        return f"Answers one of {len(labels)} classes from {what}: {shown}{more}."
    if manifest.task == "regression":
        return f"Answers a number from {what}."
    return f"Does {manifest.task} with {what}."


def _column(column: Column) -> dict[str, Any]:
    known = ""
    if column.categories:
        shown = ", ".join(map(str, column.categories[:MOST_CATEGORIES]))
        more = len(column.categories) - MOST_CATEGORIES
        known = f"{shown} and {more} more" if more > 0 else shown
    elif column.minimum is not None and column.maximum is not None:
        known = f"{column.minimum:g} to {column.maximum:g}"
    return {
        "name": column.name,
        "type": column.type,
        "known": known,
        "gaps": "allowed" if column.missing else "refused",
        "others": "refused" if column.closed else "answered",
    }


def _score(score: Score) -> dict[str, Any]:
    has_interval = score.low is not None and score.high is not None
    return {
        "name": score.name,
        "value": f"{score.value:.4f}",
        "interval": f"{score.low:.4f} to {score.high:.4f}" if has_interval else "",
        "method": score.method,
        "dummy": "" if score.dummy is None else f"{score.dummy:.4f}",
    }


def _bare_scores(manifest: Manifest) -> list[dict[str, Any]]:
    """The metrics of the file itself, when its evaluation is not at hand."""
    return [_score(Score(name=name, value=value)) for name, value in manifest.metrics.items()]


def _level(found: OutputEvidence) -> str:
    if found.bound is None:
        why = f": {found.formula}" if found.formula else ""
        return f"equal on the rows compared; no more is known{why}"
    if found.bound == 0:
        return "equal bit for bit for every input"
    return f"at most {found.bound:.1e} apart for every row within the columns' ranges"


def _limits(manifest: Manifest, evaluation: Evaluation, size: int) -> list[dict[str, Any]]:
    measured = evaluation.measured
    timings = [] if measured is None else [Timing(0, 0, {"p99": measured.latency_us_p99})]
    memory = float("nan") if measured is None else measured.peak_memory_mb
    held = compare_with_limits(manifest, timings, file_bytes=size, peak_mb=memory)
    rows = []
    for limit in held:
        unknown = limit.value is None or limit.value != limit.value
        rows.append(
            {
                "name": limit.name,
                "bound": f"{'at least' if limit.is_least else 'at most'} {limit.limit:,.10g}",
                "found": "not measured" if unknown else f"{limit.value:,.5g}",
                "kept": "" if unknown else "kept" if limit.is_met else "broken",
            }
        )
    return rows


def _confusion(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Rows of the confusion matrix, each count with its share of the row."""
    found = evaluation.confusion
    if found is None:
        return []
    rows = []
    for label, counts in zip(found.labels, found.counts, strict=True):
        total = sum(counts) or 1
        rows.append(
            {
                "label": label,
                "cells": [(count, round(100 * count / total)) for count in counts],
                "total": sum(counts),
            }
        )
    return rows


def _figures(e: Evaluation) -> dict[str, str]:
    """Every drawing that there are figures for."""
    made = {}
    if e.calibration is not None:
        made["calibration"] = figures.calibration_figure(e.calibration)
    if e.roc:
        made["roc"] = figures.curves_figure(
            "roc", e.roc, "false alarms", "found (recall)", "area", diagonal=True
        )
    if e.precision_recall:
        made["precision_recall"] = figures.curves_figure(
            "pr", e.precision_recall, "found (recall)", "right among found (precision)",
            "average precision", diagonal=False,
        )  # fmt: skip
    if e.importance:
        made["importance"] = figures.importance_figure(e.importance, str(e.importance_of))
    if e.groups:
        made["groups"] = figures.groups_figure(e.groups, str(e.groups_of))
    if e.answers is not None:
        made["answers"] = figures.counts_figure(e.answers)
    if e.learning:
        made["learning"] = figures.learning_figure(e.learning, str(e.learning_of))
    if e.loss is not None:
        made["loss"] = figures.loss_figure(e.loss)
    if any(item.front for item in e.tried):
        made["tried"] = figures.tried_figure(e.tried, str(e.tried_of))
    if e.measured is not None:
        made["latency"] = figures.latency_figure(e.measured)
        made["memory"] = figures.memory_figure(e.measured)
    return made


def _environment(*, autoescape: bool) -> Environment:
    made = Environment(
        loader=PackageLoader("edge_pipeline.evaluation.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["md"] = _in_markdown
    made.filters["interval"] = _interval
    made.filters["us"] = lambda value: f"{value:,.1f}"
    return made


def _interval(group: Group) -> str:
    if group.low is None or group.high is None:
        return "too few rows"
    return f"{group.low:.4g} to {group.high:.4g}"


def _in_markdown(value: object) -> str:
    """*value* on one line, with nothing in it that Markdown or HTML would take for its own."""
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", text)
