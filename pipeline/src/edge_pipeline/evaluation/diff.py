"""``compare``: two sealed files and rows in; the rows that changed their answer out.

It says how much a change matters: how sure both files were, and which of them was right.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.schema import Column
from edge_runtime.loading import load
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.accuracy import count_correct
from edge_pipeline.evaluation.predictions import (
    Predictions,
    predict_rows,
    read_rows,
    select_input,
    take_rows,
)

__all__ = ["ChangedRow", "Comparison", "compare"]

NEAR_TIE = 0.1
"""Two best probabilities that are closer than this: the answer was nearly the other one anyway."""

CONFIDENT = 0.9
"""A probability from which on nobody expects another answer."""


class ChangedRow(NamedTuple):
    """A row that is answered differently.

    Attributes
    ----------
    row
        Its number, from 1.
    before, after
        Both answers.
    difference
        Of two numbers, the largest when an answer has several; None of labels.
    confidence_before, confidence_after
        Probability of each file's own answer; None when there are none.
    margin_before, margin_after
        Distance between the two best probabilities.
    """

    row: int
    before: Any
    after: Any
    difference: float | None = None
    confidence_before: float | None = None
    confidence_after: float | None = None
    margin_before: float | None = None
    margin_after: float | None = None

    @property
    def is_near_tie(self) -> bool:
        """Whether one of the two files was nearly undecided."""
        margins = [m for m in (self.margin_before, self.margin_after) if m is not None]
        return bool(margins) and min(margins) < NEAR_TIE

    @property
    def is_confident(self) -> bool:
        """Whether both files are sure of themselves, and contradict each other."""
        found = (self.confidence_before, self.confidence_after)
        return all(c is not None and c >= CONFIDENT for c in found)


@dataclass(frozen=True)
class Comparison:
    """What two sealed files answer to the same rows.

    Attributes
    ----------
    before, after
        Manifests of the two files.
    method
        What was asked.
    rows
        How many were answered by both.
    tolerance
        Largest difference of two numbers that counts as none, relative to the largest magnitude.
    schema_changes
        What a program that feeds the first file must know before it feeds the second.
    changed
        Rows with another answer, those that matter most first.
    worst
        Largest difference of two numbers, or of two probabilities; None when there are none.
    refused_before, refused_after
        Number of a row, from 1, that only the one file refuses, to the reason.
    right_before, right_after
        Of the changed rows: how many each file had right, when the target is known.
    """

    before: Manifest
    after: Manifest
    method: str
    rows: int
    tolerance: float
    schema_changes: tuple[str, ...]
    changed: tuple[ChangedRow, ...]
    worst: float | None
    refused_before: dict[int, str]
    refused_after: dict[int, str]
    right_before: int | None = None
    right_after: int | None = None

    @property
    def is_same(self) -> bool:
        """Whether nobody would notice that the files were exchanged."""
        return not (
            self.changed or self.schema_changes or self.refused_before or self.refused_after
        )

    @property
    def compared(self) -> str:
        """What ``worst`` is the difference of."""
        return "numbers" if self.after.outputs[0].dtype.startswith("float") else "probabilities"

    def verdict(self) -> list[str]:
        """Sentences that say whether it matters, the worst first."""
        told = []
        if self.refused_after:
            told.append(f"{_rows(len(self.refused_after))} answered before are refused now")
        if not self.changed:
            told.append(f"no answer changed on {_rows(self.rows)}")
            return told
        share = 100 * len(self.changed) / self.rows
        told.append(f"{len(self.changed)} of {_rows(self.rows)} changed ({share:.3g} %)")
        confident = sum(row.is_confident for row in self.changed)
        ties = sum(row.is_near_tie for row in self.changed)
        if confident:
            told.append(
                f"{confident} of them contradict an answer of which both files are sure "
                f"(probability {CONFIDENT} or more): look at these first"
            )
        if ties:
            told.append(
                f"{ties} of them were nearly undecided (two best probabilities less than "
                f"{NEAR_TIE} apart)"
            )
        if self.right_before is not None and self.right_after is not None:
            told.append(
                f"by the target, {_rows(self.right_after)} became right and "
                f"{self.right_before} became wrong"
            )
        return told

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, and the rows that matter most."""
        from edge_runtime.notebook_html import table

        told = [(self.method, sentence) for sentence in self.verdict()]
        told += [("schema", change) for change in self.schema_changes]
        told += [(f"row {row.row}", f"{row.before} -> {row.after}") for row in self.changed[:20]]
        return table(f"{self.before.name}, {self.after.name}", told)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "before": {"name": self.before.name, "version": self.before.version},
            "after": {"name": self.after.name, "version": self.after.version},
            "method": self.method,
            "rows": self.rows,
            "tolerance": self.tolerance,
            "same": self.is_same,
            "verdict": self.verdict(),
            "schema_changes": list(self.schema_changes),
            "worst": self.worst,
            "changed": [
                {**row._asdict(), "near_tie": row.is_near_tie, "confident": row.is_confident}
                for row in self.changed
            ],
            "refused_before": {str(row): why for row, why in self.refused_before.items()},
            "refused_after": {str(row): why for row, why in self.refused_after.items()},
            "right_before": self.right_before,
            "right_after": self.right_after,
        }


def compare(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    rows: Any,
    *,
    target: str | Sequence[str] | None = None,
    tolerance: float = 1e-9,
) -> Comparison:
    """Ask two sealed files the same rows.

    Parameters
    ----------
    rows
        A CSV, Parquet or Arrow file, or rows as the models take them.  Columns that a model does
        not know are left out.
    target
        Column of *rows* with the right answers, or several: then the result says which changes are
        for the better.
    tolerance
        Largest difference of two numbers that counts as none, relative to the largest magnitude of
        the answers.

    Raises
    ------
    MeasurementError
        The files answer different questions, or the rows do not fit them.
    DatasetError
        The file of rows cannot be read.
    EdgeRuntimeError
        One of the files is no sealed file.
    OSError
        A file cannot be read.
    """
    with load(before) as one, load(after) as other:
        method = _method(one, other)
        table = read_rows(rows, one.schema, other.schema)
        fed = [select_input(model.schema, table) for model in (one, other)]
        first, second = (
            predict_rows(model, method, part) for model, part in zip((one, other), fed, strict=True)
        )
        both = np.intersect1d(first.rows, second.rows)
        a, b = _at(first, both), _at(second, both)
        if a.shape != b.shape:
            raise MeasurementError(
                f"{method} of the one file gives {_shape(a)}, of the other {_shape(b)}; they "
                "answer different questions"
            )
        scores = [
            _probabilities(model, take_rows(part, both.tolist()))
            for model, part in zip((one, other), fed, strict=True)
        ]
        changed, worst = _changed(a, b, both, tolerance, scores)
        schema_changes = tuple(_schema_changes(one.manifest, other.manifest))
        right: tuple[int | None, int | None] = (None, None)
        if target is not None:
            right = count_correct(table, target, changed)
        return Comparison(
            one.manifest,
            other.manifest,
            method,
            len(both),
            tolerance,
            schema_changes,
            changed,
            worst,
            _only(first, second),
            _only(second, first),
            *right,
        )


def _method(one: Model, other: Model) -> str:
    for method in one.methods:
        if method in other.methods:
            return "predict" if "predict" in one.methods and "predict" in other.methods else method
    raise MeasurementError(
        f"the files have no method in common: {', '.join(one.methods)}; {', '.join(other.methods)}"
    )


def _at(answers: Predictions, rows: NDArray[np.int64]) -> NDArray[Any]:
    return answers.given[np.searchsorted(answers.rows, rows)]


def _only(one: Predictions, other: Predictions) -> dict[int, str]:
    """Rows that *one* refuses and *other* does not."""
    return {row + 1: why for row, why in one.refused.items() if row not in other.refused}


def _shape(array: NDArray[Any]) -> str:
    return "one answer a row" if array.ndim == 1 else f"{array.shape[1]} answers a row"


def _probabilities(model: Model, rows: Any) -> NDArray[Any] | None:
    if "predict_proba" not in model.methods:
        return None
    found = model.predict_proba(rows)
    return found if isinstance(found, np.ndarray) and found.ndim == 2 else None


def _changed(
    a: NDArray[Any],
    b: NDArray[Any],
    rows: NDArray[np.int64],
    tolerance: float,
    scores: list[NDArray[Any] | None],
) -> tuple[tuple[ChangedRow, ...], float | None]:
    """The rows that differ, those that matter most first, and the largest difference."""
    numbers = a.dtype.kind == "f" and b.dtype.kind == "f"
    if numbers:
        with np.errstate(invalid="ignore"):
            gap = np.where(a == b, 0.0, np.abs(a - b))
        gap[np.isnan(a) & np.isnan(b)] = 0.0
        gap = np.nan_to_num(gap.reshape(len(a), -1), nan=np.inf).max(axis=1)
        finite = np.abs(a[np.isfinite(a)])
        different = ~(gap <= tolerance * (float(finite.max(initial=0.0)) or 1.0))
        worst: float | None = float(gap.max(initial=0.0))
    else:
        different = (a.astype(object) != b.astype(object)).reshape(len(a), -1).any(axis=1)
        gap = np.zeros(len(a))
        worst = _furthest(*scores)
    before, after = (_confidence(s) for s in scores)
    found = [
        ChangedRow(
            int(rows[i]) + 1,
            _plain(a[i]),
            _plain(b[i]),
            float(gap[i]) if numbers else None,
            *(part[0][i] if part else None for part in (before, after)),
            *(part[1][i] if part else None for part in (before, after)),
        )
        for i in np.flatnonzero(different)
    ]
    found.sort(key=lambda row: (-(row.difference or 0.0), -_weight(row), row.row))
    return tuple(found), worst


def _plain(answer: Any) -> Any:
    """A Python value: arrays of objects hold such, others numpy's."""
    return answer.tolist() if isinstance(answer, np.ndarray | np.generic) else answer


def _furthest(one: NDArray[Any] | None, other: NDArray[Any] | None) -> float | None:
    """The largest difference of two probabilities."""
    if one is None or other is None or one.shape != other.shape:
        return None
    return float(np.abs(one - other).max(initial=0.0))


def _weight(row: ChangedRow) -> float:
    """How sure both files are of what contradicts."""
    return min(row.confidence_before or 0.0, row.confidence_after or 0.0)


def _confidence(scores: NDArray[Any] | None) -> tuple[list[float], list[float]] | None:
    """The best probability of each row, and its lead over the second best."""
    if scores is None or scores.shape[1] < 2:
        return None
    ordered = np.sort(scores, axis=1)
    return ordered[:, -1].tolist(), (ordered[:, -1] - ordered[:, -2]).tolist()


def _schema_changes(one: Manifest, other: Manifest) -> list[str]:
    before = {column.name: column for column in one.schema.columns}
    after = {column.name: column for column in other.schema.columns}
    told = [f"column {name!r} is no longer asked for" for name in before if name not in after]
    told += [f"column {name!r} is asked for now" for name in after if name not in before]
    for name, old in before.items():
        if name in after:
            told += _column_changes(old, after[name])
    if list(before) != list(after) and set(before) == set(after):
        told.append("the columns have another order, which matters to arrays without names")
    methods = [{output.method for output in manifest.outputs} for manifest in (one, other)]
    told += [f"{method} is gone" for method in sorted(methods[0] - methods[1])]
    told += [f"{method} is new" for method in sorted(methods[1] - methods[0])]
    if one.classes != other.classes:
        old_labels, new_labels = (list(m.classes.get("predict", ())) for m in (one, other))
        told.append(f"the classes were {old_labels}, and are {new_labels}")
    return told


def _column_changes(old: Column, new: Column) -> list[str]:
    told = []
    if old.type != new.type:
        told.append(f"column {old.name!r} was {old.type}, and is {new.type}")
    if old.missing and not new.missing:
        told.append(f"column {old.name!r} may no longer have gaps")
    if new.closed and not old.closed:
        told.append(f"column {old.name!r} now refuses values that training did not see")
    return told


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
