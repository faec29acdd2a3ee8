"""Predict the probe rows with scikit-learn, within a budget of seconds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from edge_pipeline.conversion.convert import OnnxModel
from edge_pipeline.errors import ConversionError
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.parity import ProbedRows
from edge_pipeline.verification.probes.groups import ProbeGroup

__all__ = ["PROBE_SECONDS", "ProbePredictions", "predict_probes"]

PROBE_SECONDS = 60.0
"""Seconds that scikit-learn may take for the probe rows of one model.

Nearly all estimators take a tenth.  Where it is exceeded, two builds may compare other rows."""

MAX_OUTPUT_NUMBERS = 4_000_000
"""Most numbers of one output computed at once, 32 MB: a hashed text has a million a row."""

MAX_INPUT_NUMBERS = 1 << 26
"""Most numbers that the graph reads for one group of rows."""

PILOT_ROWS = (16, 64)
"""Rows that are timed first.  The second pilot is run where the first one is slow."""

FEWEST_ROWS = 4
"""Rows of a group that the budget leaves at least."""


@dataclass(frozen=True, eq=False)
class ProbePredictions:
    """scikit-learn's predictions for the probe rows.

    Attributes
    ----------
    rows
        The groups that it predicts.
    refused
        The groups that it refuses.
    left_out
        As in :class:`edge_runtime.bundle.manifest.Parity`.
    """

    rows: list[ProbedRows]
    refused: list[ProbeGroup]
    left_out: Mapping[str, float] | None = None


def predict_probes(
    model: OnnxModel,
    oracle: Oracle,
    groups: Iterable[ProbeGroup],
    *,
    by_row: bool,
    seconds: float = PROBE_SECONDS,
) -> ProbePredictions:
    """Predict every group with scikit-learn.

    Parameters
    ----------
    by_row
        Whether the prediction for a row is known not to depend on the other rows.  Then groups are
        predicted together: a forest of 1,000 trees takes 50 ms for one row.
    seconds
        The budget.

    Raises
    ------
    ConversionError
        scikit-learn refuses all rows.
    """
    by_output = MAX_OUTPUT_NUMBERS // model.output_width
    by_input = MAX_INPUT_NUMBERS // max(1, model.schema.numbers_width)
    most_rows = max(2, min(by_output, by_input))
    every_group = [replace(group, table=group.table.head(most_rows)) for group in groups]
    affordable = list(_within_budget(model, oracle, every_group, seconds))
    bundles = _bundles(affordable, most_rows) if by_row else [[group] for group in affordable]
    predicted = dict(
        pair for bundle in bundles for pair in _predict_together(model, oracle, bundle)
    )
    # In the order of the groups: the first one gives the scale of each output.
    rows = [item for group in affordable if (item := predicted[group]) is not None]
    refused = [group for group in affordable if predicted[group] is None]
    if not rows:
        raise ConversionError(
            "scikit-learn refuses every row of the sample X, so nothing can be compared; pass rows "
            "that the estimator predicts"
        )
    n_left_out = _n_rows(every_group) - _n_rows(affordable)
    left_out = {"rows": n_left_out, "probe_seconds": seconds} if n_left_out else None
    return ProbePredictions(rows, refused, left_out)


def _n_rows(groups: Sequence[ProbeGroup]) -> int:
    return sum(len(group.table) for group in groups)


def _within_budget(
    model: OnnxModel, oracle: Oracle, groups: Sequence[ProbeGroup], seconds: float
) -> Iterator[ProbeGroup]:
    """Yield the groups, or the first rows of each where all would take longer than *seconds*.

    Where the calls alone take too long, groups far outside training are left out first.
    """
    a_call, a_row = _times(model, oracle, groups, seconds)
    if a_call * len(groups) + a_row * _n_rows(groups) <= seconds:
        yield from groups
        return
    most_groups = max(2, int(seconds / 2 / a_call)) if a_call else len(groups)
    by_reach = sorted(
        range(len(groups)), key=lambda i: ("", "far", "extreme").index(groups[i].reach)
    )
    affordable = [groups[i] for i in sorted(by_reach[:most_groups])]
    remaining = max(0.0, seconds - a_call * len(affordable))
    share = remaining / (a_row * _n_rows(affordable)) if a_row else 1.0
    # A power of two: the next build on this machine most likely takes the same rows.
    share = 2.0 ** np.floor(np.log2(min(1.0, max(share, 1e-6))))
    for group in affordable:
        count = max(FEWEST_ROWS, int(len(group.table) * share))
        yield replace(group, table=group.table.head(count))


def _times(
    model: OnnxModel, oracle: Oracle, groups: Sequence[ProbeGroup], seconds: float
) -> tuple[float, float]:
    """Measure the seconds of a call and those of a row, with rows of the first group."""
    few, more = (groups[0].table.head(count) for count in PILOT_ROWS)
    pilot = _seconds_of(model, oracle, few)
    upper_limit = pilot * (len(groups) + _n_rows(groups) / len(few))
    if upper_limit <= seconds or len(more) == len(few):
        return 0.0, upper_limit / _n_rows(groups)
    a_row = max(0.0, _seconds_of(model, oracle, more) - pilot) / (len(more) - len(few))
    return max(0.0, pilot - a_row * len(few)), a_row


def _seconds_of(model: OnnxModel, oracle: Oracle, table: pd.DataFrame) -> float:
    start = time.perf_counter()
    oracle.predictions(table, model.outputs)
    return time.perf_counter() - start


def _bundles(groups: Sequence[ProbeGroup], most_rows: int) -> Iterator[list[ProbeGroup]]:
    """Put groups together; those that scikit-learn often refuses stay alone."""
    together: list[ProbeGroup] = []
    for group in groups:
        if group.reach == "extreme":
            yield [group]
        elif _n_rows(together) + len(group.table) > most_rows:
            yield together
            together = [group]
        else:
            together.append(group)
    if together:
        yield together


def _predict_together(
    model: OnnxModel, oracle: Oracle, groups: Sequence[ProbeGroup]
) -> Iterator[tuple[ProbeGroup, ProbedRows | None]]:
    """Predict *groups* in one call, or each alone where that call is refused."""
    tables = [group.table for group in groups]
    table = tables[0] if len(groups) == 1 else pd.concat(tables, ignore_index=True)
    predictions = oracle.predictions(table, model.outputs)
    if predictions is None and len(groups) > 1:
        for group in groups:
            yield from _predict_together(model, oracle, [group])
        return
    start = 0
    for group in groups:
        stop = start + len(group.table)
        if predictions is None:
            yield group, None
        else:
            own = {name: values[start:stop] for name, values in predictions.items()}
            yield group, ProbedRows(group, own, np.ones(len(group.table), dtype=np.bool_))
        start = stop
