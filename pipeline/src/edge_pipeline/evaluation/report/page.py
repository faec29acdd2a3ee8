"""Render the report of a sealed file: an HTML page and a Markdown card.

This module reads and measures nothing.  :func:`facts` computes the facts that both show.
"""

from __future__ import annotations

import re
from pprint import pformat
from typing import Any, NamedTuple

from edge_runtime.benchmark import Timing, compare_with_limits
from edge_runtime.bundle.date_rule import iso_text
from edge_runtime.bundle.layout import Bundle
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Column
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edge_pipeline.evaluation.report import figures
from edge_pipeline.evaluation.report.card_metadata import card_metadata
from edge_pipeline.evaluation.report.measurements import Evaluation, Score
from edge_pipeline.evaluation.report.page_facts import anomaly_chart, page_facts, time_noise
from edge_pipeline.evaluation.report.page_script import page_script
from edge_pipeline.evaluation.report.tables import (
    columns_table,
    guarantee,
    interval_text,
    scores_table,
)
from edge_pipeline.evaluation.report.verdict import (
    LOSS_PREFIX,
    agreement_sentence,
    judge,
    metric_name,
    search_noise,
)

__all__ = ["NO_FORM", "SealedFile", "environment", "facts", "render_card", "render_page"]

MAX_COLUMNS = 200
"""Most columns in the table of columns."""

MAX_CATEGORIES = 8
FIGURES = (
    "calibration", "roc", "precision_recall", "importance", "groups", "answers", "learning",
    "loss", "tried", "memory",
)  # fmt: skip
MAX_CLASSES = 12

NO_FORM = "try it"
"""Key of ``Evaluation.left_out`` with the reason why a page has no form."""


class SealedFile(NamedTuple):
    """The parts of a sealed file, its name and its size in bytes."""

    bundle: Bundle
    file: str
    size: int


def render_page(sealed_file: SealedFile, evaluation: Evaluation, form: str | None = None) -> str:
    """Render one HTML page that loads nothing else.

    Parameters
    ----------
    form
        The model as JSON for the form, or None for a page without one.
    """
    context = facts(sealed_file, evaluation)
    context |= page_facts(sealed_file.bundle.manifest, evaluation)
    context["columns_table"] = columns_table(context["columns"])
    context["scores_table"] = scores_table(context["scores"], evaluation.source)
    context["form"] = None if form is None else Markup(form)
    context["no_form"] = evaluation.left_out.get(NO_FORM, "")
    context["left_out"] = {k: v for k, v in evaluation.left_out.items() if k != NO_FORM}
    context["has_form_section"] = bool(form or context["no_form"])
    context["sections"] = _sections(context)
    context["script"], context["script_hash"] = page_script(with_model=form is not None)
    context["title"] = f"{context['m'].name} version {context['m'].version}: model report"
    drawings = _figures(evaluation)
    context["figures"] = {
        name: Markup(drawings[name]) if name in drawings else None for name in FIGURES
    }
    context["anomaly_chart"] = anomaly_chart(evaluation)
    context["residual_figures"] = [
        Markup(figures.residuals_figure(item, i)) for i, item in enumerate(evaluation.residuals)
    ]
    return environment(autoescape=True).get_template("report.html.j2").render(context)


def render_card(sealed_file: SealedFile, evaluation: Evaluation) -> str:
    """Render the same facts as a model card in Markdown, without drawings."""
    context = facts(sealed_file, evaluation)
    text = environment(autoescape=False).get_template("card.md.j2").render(context)
    head = card_metadata(sealed_file.bundle.manifest, evaluation)
    return head + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def facts(sealed_file: SealedFile, evaluation: Evaluation) -> dict[str, Any]:
    """Compute the variables of both templates."""
    manifest = sealed_file.bundle.manifest
    return {
        "m": manifest,
        "e": evaluation,
        "file": sealed_file.file,
        "headline": _headline(manifest, evaluation),
        "columns": [_column(column) for column in manifest.schema.columns[:MAX_COLUMNS]],
        "columns_more": max(0, len(manifest.schema.columns) - MAX_COLUMNS),
        "outputs": [(o.name, o.method, _dtype_word(o.dtype)) for o in manifest.outputs],
        "scores": [_score(score) for score in evaluation.scores] or _manifest_scores(manifest),
        "evidence": [(name, e, guarantee(e)) for name, e in manifest.parity.outputs.items()],
        "agreement": f"{agreement_sentence(manifest)}.",
        "verdict": judge(manifest, evaluation),
        "limits": _limits(manifest, evaluation, sealed_file.size),
        "example": example_row(manifest),
        "seal": sealed_file.bundle.seal,
        "size": sealed_file.size,
        "confusion": _confusion(evaluation),
        "class_rows": evaluation.classes,
    }


def example_row(manifest: Manifest) -> str:
    """Write a row for ``predict_one`` as Python source."""
    tensor = manifest.schema.columns[0].tensor
    if tensor is not None:
        return f"numpy.zeros({tensor.shape}, dtype={tensor.dtype!r})"
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
    if column.type == "datetime":
        return iso_text(column.minimum or 0.0, column.dates)
    middle = manifest.baseline.get(column.name, {}).get("q50", column.minimum or 0.0)
    if column.type == "bool":
        return bool(middle)
    return round(middle) if column.type == "int64" else float(f"{middle:.6g}")


def _dtype_word(dtype: str) -> str:
    """Name a dtype for readers: numpy's ``<U6`` and ``object`` are text."""
    return "text" if dtype == "object" or dtype.startswith("<U") else dtype


_TASK_SENTENCES = {
    "clustering": "Assigns a cluster to each row of {}.",
    "anomaly": "Detects anomalies in {}.",
    "transform": "Transforms {}.",
}


def _headline(manifest: Manifest, evaluation: Evaluation) -> str:
    """Say in one sentence what the model predicts, and from what."""
    n_columns = len(manifest.schema.columns)
    inputs = {
        "text": "a text",
        "dicts": "a dict",
        "lists": "a list",
        "tensor": "an array",
    }.get(manifest.schema.kind, f"{n_columns} column{'s' * (n_columns != 1)}")
    if manifest.task in _TASK_SENTENCES:
        return _TASK_SENTENCES[manifest.task].format(inputs)
    target = evaluation.source and evaluation.source.target
    labels = manifest.classes.get("predict", ())
    if labels and not isinstance(labels[0], list):
        listed = ", ".join(map(str, labels[:MAX_CLASSES]))
        more = f" and {len(labels) - MAX_CLASSES} more" if len(labels) > MAX_CLASSES else ""
        return (
            f"Predicts {target or f'one of {len(labels)} classes'} ({listed}{more}) from {inputs}."
        )
    default = "a number" if manifest.task == "regression" else "several targets"
    return f"Predicts {target or default} from {inputs}."


def _column(column: Column) -> dict[str, Any]:
    value_range = ""
    if column.categories:
        listed = ", ".join(map(str, column.categories[:MAX_CATEGORIES]))
        more = len(column.categories) - MAX_CATEGORIES
        value_range = f"{listed} and {more} more" if more > 0 else listed
    else:
        value_range = column.range_text
    if column.limits is not None:
        value_range += f"{'; ' if value_range else ''}limits {column.limits}"
    return {
        "name": column.name,
        "type": column.type,
        "range": value_range,
        "missing": "accepted" if column.missing else "refused",
        "unseen": "refused" if column.closed else "accepted",
    }


def _score(score: Score) -> dict[str, Any]:
    """Write a metric for readers; a negated loss is written as the loss."""
    is_loss = score.name.startswith(LOSS_PREFIX)

    def number(value: float) -> str:
        return f"{(-value if is_loss else value) + 0.0:.4f}"

    interval = ""
    if score.low is not None and score.high is not None:
        low, high = (score.high, score.low) if is_loss else (score.low, score.high)
        interval = f"{number(low)} to {number(high)}"
    return {
        "name": metric_name(score.name),
        "value": number(score.value),
        "better": "lower" if is_loss else "higher",
        "interval": interval,
        "method": score.method,
        "baseline": "" if score.dummy is None else number(score.dummy),
    }


def _manifest_scores(manifest: Manifest) -> list[dict[str, Any]]:
    """List the metrics in the file itself, for a report without an evaluation."""
    return [_score(Score(name=name, value=value)) for name, value in manifest.metrics.items()]


def _limits(manifest: Manifest, evaluation: Evaluation, size: int) -> list[dict[str, Any]]:
    result = evaluation.measured
    timings = [] if result is None else [Timing(0, 0, {"p99": result.latency_us_p99})]
    memory = float("nan") if result is None else result.peak_memory_mb
    rows = []
    for limit in compare_with_limits(manifest, timings, file_bytes=size, peak_mb=memory):
        unknown = limit.value is None or limit.value != limit.value
        rows.append(
            {
                "name": limit.name,
                "bound": f"{'at least' if limit.is_least else 'at most'} {limit.limit:,.10g}",
                "value": "not measured" if unknown else f"{limit.value:,.5g}",
                "verdict": "" if unknown else "kept" if limit.is_met else "broken",
            }
        )
    return rows


def _confusion(evaluation: Evaluation) -> list[dict[str, Any]]:
    """List the rows of the confusion matrix, each count with its share of the row."""
    matrix = evaluation.confusion
    if matrix is None:
        return []
    rows = []
    for i, (label, counts) in enumerate(zip(matrix.labels, matrix.counts, strict=True)):
        total = sum(counts) or 1
        rows.append(
            {
                "label": label,
                "index": i,
                "cells": [(count, round(100 * count / total)) for count in counts],
                "total": sum(counts),
            }
        )
    return rows


_SECTIONS = (
    ("try-it", "Try it", "has_form_section"),
    ("quality", "Quality on test rows", "quality"),
    ("threshold", "Choose a threshold", "thresholds_json"),
    ("wrong-rows", "Rows that it gets wrong", "worst_rows"),
    ("columns-used", "Columns that matter", "uses_columns"),
    ("groups", "Errors by group", "groups_table"),
    ("inputs", "Inputs and training data", "m"),
    ("pipeline", "Pipeline", "m"),
    ("training", "Training", "has_training"),
    ("search", "Model search", "candidates"),
    ("agreement", "Agreement with scikit-learn", "m"),
    ("speed", "Size, speed and limits", "has_speed"),
    ("device", "On a device", "m"),
    ("origin", "Digest, signature and versions", "m"),
)
"""Name and heading of each section, and the variable without which it is left out."""


def _sections(context: dict[str, Any]) -> list[tuple[str, str]]:
    headings = {"wrong-rows": context["rows_heading"]}
    if not context["scores"]:
        headings["quality"] = "Predictions"
    return [
        (name, headings.get(name, heading))
        for name, heading, needed in _SECTIONS
        if context[needed]
    ]


def _size_in_words(size: int) -> str:
    """Write a number of bytes with three digits."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.3g} GB"


def _figures(e: Evaluation) -> dict[str, str]:
    """Draw every figure that the evaluation has values for."""
    drawings = {}
    if e.calibration is not None:
        drawings["calibration"] = figures.calibration_figure(e.calibration)
    if e.roc:
        drawings["roc"] = figures.curves_figure(
            "roc", e.roc, "false positive rate", "recall", "area", diagonal=True
        )
    if e.precision_recall:
        drawings["precision_recall"] = figures.curves_figure(
            "pr", e.precision_recall, "recall", "precision",
            "average precision", diagonal=False,
        )  # fmt: skip
    if e.importance:
        drawings["importance"] = figures.importance_figure(e.importance, str(e.importance_of))
    if e.groups:
        drawings["groups"] = figures.groups_figure(e.groups, str(e.groups_of))
    if e.answers is not None:
        drawings["answers"] = figures.counts_figure(e.answers)
    if e.learning:
        drawings["learning"] = figures.learning_figure(e.learning, str(e.learning_of))
    if e.loss is not None:
        drawings["loss"] = figures.loss_figure(e.loss)
    if search_noise(e.tried, e.tried_folds or 1, time_noise(e)):
        drawings["tried"] = figures.search_figure(
            e.tried, str(e.tried_of), e.tried_folds or 1, time_noise(e)
        )
    if e.measured is not None:
        drawings["memory"] = figures.memory_figure(e.measured)
    return drawings


def environment(*, autoescape: bool) -> Environment:
    """Return the environment of the templates, with their filters."""
    result = Environment(
        loader=PackageLoader("edge_pipeline.evaluation.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    result.filters["md"] = _in_markdown
    result.filters["interval"] = interval_text
    result.filters["us"] = lambda value: f"{value:,.1f}"
    result.filters["bytes"] = _size_in_words
    result.filters["metric"] = metric_name
    return result


def _in_markdown(value: object) -> str:
    """Write *value* on one line, with the special characters of Markdown and HTML escaped."""
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", text)
