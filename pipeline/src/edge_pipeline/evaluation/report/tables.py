"""Lay out the tables of the report: captions, column heads, and cells as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edge_runtime.bundle.manifest import Manifest, OutputEvidence

from edge_pipeline.evaluation.report.measurements import (
    CandidateRow,
    ClassScore,
    Evaluation,
    Group,
    Measurements,
    RowTable,
    Source,
    Thresholds,
)

__all__ = [
    "Table",
    "candidates_table",
    "classes_table",
    "columns_table",
    "drift_table",
    "evidence_table",
    "groups_table",
    "guarantee",
    "interval_text",
    "latency_table",
    "make_table",
    "number_columns",
    "rows_table",
    "scores_table",
    "thresholds_table",
]

THRESHOLD_ROWS = 11
"""Thresholds in the table that stands in for the picker on paper."""


class Table(NamedTuple):
    """A table as the page shows it.

    Attributes
    ----------
    caption
        Text above the table; it is also the table's name for screen readers.
    heads
        Title of each column.
    numbers
        Positions of the columns that hold numbers.
    rows
        Cells as text; the first one is the head of the row.
    sortable
        Whether a reader can sort it.
    """

    caption: str
    heads: tuple[str, ...]
    numbers: frozenset[int]
    rows: tuple[tuple[str, ...], ...]
    sortable: bool = False


def make_table(
    caption: str, heads: str, rows: Iterable[Sequence[str]], *, sortable: bool = False
) -> Table:
    """Make a table; a ``#`` before a title marks a column of numbers."""
    titles = [head.strip() for head in heads.split("|")]
    return Table(
        caption,
        tuple(title.removeprefix("#") for title in titles),
        frozenset(i for i, title in enumerate(titles) if title.startswith("#")),
        tuple(tuple(row) for row in rows),
        sortable,
    )


def columns_table(columns: Sequence[dict[str, str]]) -> Table:
    """Show the columns that a row needs."""
    keys = ("name", "type", "range", "missing", "unseen")
    return make_table(
        "Columns, in the order of the training table",
        "column | type | values in training | missing values | unseen values",
        ([column[key] for key in keys] for column in columns),
        sortable=len(columns) > 10,
    )


def scores_table(scores: Sequence[dict[str, str]], source: Source | None) -> Table:
    """Show the metrics with their intervals and the baseline, where it is known."""
    has_baseline = any(score["baseline"] for score in scores)
    baseline = ("baseline",) if has_baseline else ()
    keys = ("name", "value", "interval", "method", *baseline, "better")
    n_rows = 0 if source is None else source.rows_test
    of_rows = f"On {n_rows:,} test rows" if n_rows else "On the test rows"
    is_seen = source is not None and source.tests_training_rows
    return make_table(
        f"{of_rows}, {'the table of the training' if is_seen else 'which training did not see'}",
        "metric | #value | #95 % interval | interval method | "
        f"{'#baseline | ' if has_baseline else ''}better",
        ([score[key] for key in keys] for score in scores),
    )


def classes_table(scores: Sequence[ClassScore]) -> Table:
    """Show precision, recall and F1 of the classes of one target."""
    total = sum(score.rows_train or 0 for score in scores)
    has_training = total > 0
    share = " | #share of training rows" if has_training else ""
    return make_table(
        "Each class against all others, on the test rows",
        f"class | #test rows | #precision | #recall | #F1{share}",
        (
            (
                score.label,
                f"{score.rows:,}",
                *(_share(value) for value in (score.precision, score.recall, score.f1)),
                *((f"{100 * (score.rows_train or 0) / total:.1f}\u00a0%",) if has_training else ()),
            )
            for score in scores
        ),
        sortable=len(scores) > 3,
    )


def rows_table(table: RowTable) -> Table:
    """Show single test rows with their prediction, the worst first."""
    has_truth = any(row.true is not None for row in table.rows)
    order = f" | #{table.badness}" if table.badness else ""
    plain = make_table("", f"#row{' | true' if has_truth else ''} | predicted{order}", ())
    start = len(plain.heads)
    numbers = number_columns([row.cells for row in table.rows])
    return Table(
        "",
        (*plain.heads, *table.columns),
        plain.numbers | {start + i for i in numbers},
        tuple(
            (
                str(row.row),
                *((str(row.true),) if has_truth else ()),
                row.predicted,
                *((f"{row.badness:.4g}",) if table.badness else ()),
                *row.cells,
            )
            for row in table.rows
        ),
        sortable=True,
    )


def number_columns(rows: Sequence[Sequence[str]]) -> set[int]:
    """Find the columns whose cells are numbers, or missing."""
    return {
        i
        for i, cells in enumerate(zip(*rows, strict=False))
        if any(map(_is_number, cells)) and all(_is_number(c) or c == "missing" for c in cells)
    }


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def groups_table(groups: Sequence[Group], error_name: str) -> Table:
    """Show the error of each group of rows, with its interval."""
    return make_table(
        error_name.capitalize(),
        "column | group | #rows | #error | #95 % interval",
        ((g.column, g.group, f"{g.rows:,}", f"{g.value:.4g}", interval_text(g)) for g in groups),
        sortable=True,
    )


def candidates_table(evaluation: Evaluation) -> Table:
    """Show the candidates of the search."""

    def cells(item: CandidateRow) -> tuple[str, ...]:
        return (
            f"{item.family} (chosen)" if item.chosen else item.family,
            item.parameters,
            f"{item.score:.4f} ± {item.spread:.4f}",
            "" if item.model_bytes is None else f"{item.model_bytes:,}",
            "" if item.latency_us is None else f"{item.latency_us:,.1f}",
            "yes" if item.front else "",
        )

    return make_table(
        f"The best {len(evaluation.tried)} by {evaluation.tried_of} in cross-validation; with "
        "bytes and time of those that were exported and measured",
        "kind | parameters | #score | #bytes | #µs a row | Pareto front",
        map(cells, evaluation.tried),
    )


def evidence_table(manifest: Manifest) -> Table:
    """Show the comparison with scikit-learn, output by output."""
    return make_table(
        "Compared when the file was built. Relative tolerance for numbers: "
        f"{manifest.parity.tolerance:.0e}. Labels must be equal.",
        "output | evidence | meaning | #rows | #different labels | #largest difference",
        (
            (name, e.level, guarantee(e), f"{e.rows:,}", str(e.differing), f"{e.worst:.1e}")
            for name, e in manifest.parity.outputs.items()
        ),
    )


def guarantee(evidence: OutputEvidence) -> str:
    """Say for which rows the output equals scikit-learn's."""
    if evidence.bound is None:
        reason = f": {evidence.formula}" if evidence.formula else ""
        return f"equal on the compared rows; not proven for others{reason}"
    if evidence.bound == 0:
        return "bit for bit equal for every input"
    return f"differs by at most {evidence.bound:.1e} for every row within the columns' ranges"


def latency_table(measurements: Measurements) -> Table:
    """Show the time of a call, and of each of its rows."""
    sizes = sorted(measurements.batches)
    return make_table(
        f"Microseconds a call, on {measurements.machine}",
        "call | #median | #99th percentile | #median a row",
        (
            (
                "predict_one, one row" if not size else f"predict, {size:,} row{'s' * (size != 1)}",
                f"{quantiles['p50']:,.1f}",
                f"{quantiles['p99']:,.1f}",
                f"{quantiles['p50'] / max(size, 1):,.2f}",
            )
            for size in sizes
            if (quantiles := measurements.batches[size])
        ),
    )


def drift_table(manifest: Manifest) -> Table | None:
    """Show the statistics of the training sample in the file, to compare a device's rows with."""
    keys = ("mean", "std", "q10", "q50", "q90")
    rows = [
        (
            name,
            f"{100 * statistics.get('missing', 0.0):.1f}\u00a0%",
            *(f"{statistics[key]:.5g}" if key in statistics else "" for key in keys),
        )
        for name, statistics in manifest.baseline.items()
    ]
    if not rows:
        return None
    return make_table(
        "Statistics of the training sample, which the file holds",
        "column | #missing | #mean | #standard deviation | #10 % below | #median | #90 % below",
        rows,
        sortable=True,
    )


def thresholds_table(thresholds: Thresholds) -> Table:
    """Show a few thresholds, for paper and for browsers without scripts."""
    count = len(thresholds.lowest)
    places = sorted({round(i * (count - 1) / (THRESHOLD_ROWS - 1)) for i in range(THRESHOLD_ROWS)})
    rows = []
    for i in places:
        hits, alarms = thresholds.true_positives[i], thresholds.false_positives[i]
        recall = _share(hits / thresholds.positives if thresholds.positives else None)
        precision = _share(hits / (hits + alarms) if hits + alarms else None)
        missed = thresholds.positives - hits
        rows.append(
            (f"{thresholds.lowest[i]:.4g}", precision, recall, f"{alarms:,}", f"{missed:,}")
        )
    return make_table(
        f"Rows from each threshold up are predicted as {thresholds.of}",
        "#threshold | #precision | #recall | #false alarms | #missed",
        rows,
    )


def interval_text(group: Group) -> str:
    """Write the interval of a group."""
    if group.low is None or group.high is None:
        return "too few rows"
    return f"{group.low:.4g} to {group.high:.4g}"


def _share(value: float | None) -> str:
    return "no row" if value is None else f"{value:.3f}"
