"""Render the comparison of two sealed files as one HTML page: what changed, for whom, which rows.

This module reads and writes no files.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import Manifest
from markupsafe import Markup, escape
from numpy.typing import NDArray
from scipy.stats import binomtest

from edge_pipeline.evaluation.comparison import ChangedRow, Comparison
from edge_pipeline.evaluation.predictions import take_rows
from edge_pipeline.evaluation.report.column_histograms import number_histogram
from edge_pipeline.evaluation.report.page import environment
from edge_pipeline.evaluation.report.page_script import page_script
from edge_pipeline.evaluation.report.row_groups import group_labels, has_few_values, sort_keys
from edge_pipeline.evaluation.report.small_charts import histogram_chart
from edge_pipeline.evaluation.report.tables import Table, make_table, number_columns
from edge_pipeline.evaluation.report.verdict import Verdict, metric_name
from edge_pipeline.evaluation.report.worst_rows import cells_of

__all__ = ["ComparedRows", "render_comparison"]

MAX_ROWS = 200
MAX_COLUMNS = 40
MAX_GROUPS = 60
MAX_LABELS = 30
GROUPED_COLUMNS = 12
SIGNIFICANT = 0.05
"""Largest p-value of a difference that is called more than chance."""


class ComparedRows(NamedTuple):
    """The rows of a comparison.

    Attributes
    ----------
    rows
        The rows, as the first model takes them.
    accepted
        Positions of the rows that both models predict.
    before, after
        Both predictions of the accepted rows.
    true
        True values of the accepted rows, shape (n_samples, n_targets), or None.
    """

    rows: Any
    accepted: NDArray[np.int64]
    before: NDArray[Any]
    after: NDArray[Any]
    true: NDArray[Any] | None


def render_comparison(
    comparison: Comparison, compared: ComparedRows, files: tuple[str, str], *, show_rows: bool
) -> str:
    """Render the page.

    Parameters
    ----------
    files
        Names of the two files.
    show_rows
        Whether the page may show single rows.
    """
    context = {
        "c": comparison,
        "title": f"{files[0]} and {files[1]}: comparison",
        "files": files,
        "verdict": _verdict(comparison),
        "changes": _changes(comparison.before, comparison.after),
        "estimators": _marked_estimators(comparison.before, comparison.after),
        "groups": _groups(comparison, compared),
        "transitions": _transitions(compared),
        "differences": _difference_chart(compared),
        "flipped": _flipped(comparison, compared) if show_rows and comparison.changed else None,
        "flipped_caption": _flipped_caption(comparison),
        "refused": _refused(comparison),
    }
    context["sections"] = [
        (name, heading) for name, heading, needed in _SECTIONS if needed is None or context[needed]
    ]
    context["script"], context["script_hash"] = page_script(with_model=False)
    return environment(autoescape=True).get_template("compare.html.j2").render(context)


_SECTIONS = (
    ("what", "What changed in the files", None),
    ("directions", "From which prediction to which", "transitions"),
    ("amounts", "How far the predictions moved", "differences"),
    ("whom", "For whom", "groups"),
    ("flipped", "Rows that changed", "flipped"),
    ("refused", "Rows that only one file accepts", "refused"),
)


def _verdict(c: Comparison) -> Verdict:
    """Judge the changes by the target, if it is known, with the exact test of McNemar (1947)."""
    # The last sentence is about the target, if it is known; the verdict says the same.
    sentences = c.verdict()[1 : None if c.right_before is None else -1]
    remarks = tuple(f"{text[0].upper()}{text[1:]}." for text in sentences)
    if c.refused_after:
        return Verdict("bad", f"{c.verdict()[0]}.", remarks)
    if not c.changed:
        return Verdict("good", f"No prediction changed on {c.rows:,} rows.", remarks)
    changed = f"{len(c.changed):,} of {c.rows:,} predictions changed"
    if c.right_before is None or c.right_after is None:
        return Verdict(
            "neutral", f"{changed}; without a target, nobody knows which are right.", remarks
        )
    worse, better = c.right_before, c.right_after
    is_chance = not worse + better or (binomtest(better, worse + better).pvalue > SIGNIFICANT)
    nouns = ("closer to", "farther from") if c.changed[0].difference is not None else None
    movement = (
        f"{better:,} came {nouns[0]} the true value, {worse:,} went {nouns[1]} it"
        if nouns
        else f"{better:,} rows became correct, {worse:,} became wrong"
    )
    if is_chance:
        sentence = f"Not clearly better or worse: {changed}; {movement}, which may be chance."
        return Verdict("unsure", sentence, remarks)
    word, tone = ("Better", "good") if better > worse else ("Worse", "bad")
    return Verdict(tone, f"{word}: {changed}; {movement}.", remarks)  # type: ignore[arg-type]


def _changes(before: Manifest, after: Manifest) -> Table:
    """List the facts of both files side by side."""
    names = dict.fromkeys([*before.metrics, *after.metrics])
    rows = [
        ("name", before.name, after.name),
        ("version", str(before.version), str(after.version)),
        ("task", before.task, after.task),
        ("columns", str(len(before.schema.columns)), str(len(after.schema.columns))),
        *((metric_name(name), *_metric(name, before, after)) for name in names),
    ]
    return make_table("Facts in the two files", "fact | before | after", rows)


def _metric(name: str, *manifests: Manifest) -> tuple[str, ...]:
    values = [manifest.metrics.get(name) for manifest in manifests]
    sign = -1.0 if name.startswith("neg_") else 1.0
    return tuple("unknown" if v is None else f"{sign * v + 0.0:.4f}" for v in values)


def _marked_estimators(before: Manifest, after: Manifest) -> tuple[Markup, Markup]:
    """Mark the words of both estimators that the other one lacks."""
    old, new = (re.findall(r"\w+|\W", m.estimator) for m in (before, after))
    marked: tuple[list[Markup], list[Markup]] = ([], [])
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        for place, words in enumerate(("".join(old[i1:i2]), "".join(new[j1:j2]))):
            if not words:
                continue
            tag = ("del", "ins")[place]
            text = escape(words)
            marked[place].append(text if kind == "equal" else Markup(f"<{tag}>{text}</{tag}>"))
    return Markup("").join(marked[0]), Markup("").join(marked[1])


def _groups(c: Comparison, compared: ComparedRows) -> Table | None:
    """Show the share of changed rows in each group, and how many are correct before and after."""
    rows = compared.rows
    if not isinstance(rows, pd.DataFrame) or not c.changed:
        return None
    rows = take_rows(rows, compared.accepted.tolist())
    is_changed = np.isin(compared.accepted + 1, [row.row for row in c.changed])
    quality = _quality(compared)
    lines = []
    for name in rows.columns[:MAX_COLUMNS]:
        column = rows[name]
        if not (has_few_values(column) or pd.api.types.is_numeric_dtype(column)):
            continue
        labels = np.array(group_labels(column))
        order = np.argsort(sort_keys(column), kind="stable")
        for label in dict.fromkeys(labels[order].tolist()):
            inside = labels == label
            cells = [f"{int(inside.sum()):,}", f"{100 * is_changed[inside].mean():.1f}\u00a0%"]
            cells += [f"{values[inside].mean():.4g}" for values in quality]
            lines.append((float(is_changed[inside].mean()), (str(name), str(label), *cells)))
    lines.sort(key=lambda line: -line[0])
    heads = "column | group | #rows | #changed"
    if quality:
        noun = "error" if compared.before.dtype.kind == "f" else "accuracy"
        heads += f" | #{noun} before | #{noun} after"
    texts = [line for _, line in lines[:MAX_GROUPS]]
    return make_table("Groups of rows, the most changed first", heads, texts, sortable=True)


def _quality(compared: ComparedRows) -> list[NDArray[np.float64]]:
    """Compute the correctness, or the absolute error, of each row before and after."""
    if compared.true is None:
        return []
    results = []
    for values in (compared.before, compared.after):
        predicted = values.reshape(len(values), -1)
        if values.dtype.kind == "f":
            error = np.abs(predicted - compared.true.astype(np.float64)).mean(axis=1)
            results.append(np.asarray(error, dtype=np.float64))
        else:
            is_correct = (predicted.astype(str) == compared.true.astype(str)).all(axis=1)
            results.append(np.asarray(is_correct, dtype=np.float64))
    return results


def _transitions(compared: ComparedRows) -> list[dict[str, Any]] | None:
    """Count the rows by prediction before and after."""
    if compared.before.dtype.kind == "f" or not len(compared.before):
        return None
    pairs = Counter(zip(_texts(compared.before), _texts(compared.after), strict=True))
    labels = sorted({label for pair in pairs for label in pair})
    if len(labels) > MAX_LABELS:
        return None
    rows = []
    for i, old in enumerate(labels):
        total = sum(pairs[old, new] for new in labels)
        cells = [(pairs[old, new], round(100 * pairs[old, new] / max(1, total))) for new in labels]
        rows.append({"label": old, "index": i, "cells": cells, "total": total})
    return rows


def _difference_chart(compared: ComparedRows) -> Markup | None:
    """Draw the differences of two predicted numbers."""
    if compared.before.dtype.kind != "f" or compared.before.ndim > 1 or not len(compared.before):
        return None
    difference = np.asarray(compared.after - compared.before, dtype=np.float64)
    return histogram_chart(number_histogram("difference", difference, None))


def _flipped(c: Comparison, compared: ComparedRows) -> Table:
    """Show the changed rows with their cells, the most important first."""
    listed = c.changed[:MAX_ROWS]
    names = tuple(map(str, getattr(compared.rows, "columns", c.before.schema.names)))[:MAX_COLUMNS]
    cells = cells_of(take_rows(compared.rows, [row.row - 1 for row in listed]), len(names))
    true = None
    if compared.true is not None:
        place = {int(row): i for i, row in enumerate(compared.accepted)}
        true = [_texts(compared.true[[place[row.row - 1]]])[0] for row in listed]
    is_sure = any(row.confidence_before is not None for row in listed)
    heads = "#row" + (" | true" if true else "") + " | before | after"
    heads += " | #sure before | #sure after | why it matters" if is_sure else " | #difference"
    plain = make_table("", heads, ())
    rows = [
        (
            str(row.row),
            *((true[i],) if true else ()),
            _short(row.before),
            _short(row.after),
            *(_certainty(row) if is_sure else (_difference(row),)),
            *cells[i],
        )
        for i, row in enumerate(listed)
    ]
    numbers = plain.numbers | {len(plain.heads) + i for i in number_columns(cells)}
    return Table("", (*plain.heads, *names), numbers, tuple(rows), sortable=True)


def _flipped_caption(c: Comparison) -> str:
    n_listed, n_changed = min(len(c.changed), MAX_ROWS), len(c.changed)
    first = f"{n_listed:,}" if n_listed == n_changed else f"{n_listed:,} of the {n_changed:,}"
    return f"{first} changed rows, the most important first; row is the place in the table, from 1"


def _certainty(row: ChangedRow) -> tuple[str, str, str]:
    reason = "both sure" if row.is_confident else "near tie" if row.is_near_tie else ""
    numbers = [
        "" if value is None else f"{value:.3f}"
        for value in (row.confidence_before, row.confidence_after)
    ]
    return numbers[0], numbers[1], reason


def _difference(row: ChangedRow) -> str:
    return "" if row.difference is None else f"{row.difference:.4g}"


def _refused(c: Comparison) -> Table | None:
    lines = [
        *((str(row), "refused now", reason) for row, reason in c.refused_after.items()),
        *((str(row), "refused before", reason) for row, reason in c.refused_before.items()),
    ]
    if not lines:
        return None
    caption = f"{len(lines):,} rows that one of the files refuses"
    return make_table(caption, "#row | when | reason", lines[:MAX_ROWS])


def _texts(values: NDArray[Any]) -> list[str]:
    rows: Sequence[Any] = values.reshape(len(values), -1).tolist()
    return [", ".join(_short(cell) for cell in row) for row in rows]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:80]
