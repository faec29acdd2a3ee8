"""Compare the predictions of two sealed files, and rank the rows that changed by importance.

A change matters more when both files are confident; a target says which of them is correct.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.loading import load
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.accuracy import count_correct, target_columns
from edge_pipeline.evaluation.predictions import (
    Predictions,
    predict_rows,
    read_rows,
    select_input,
    take_rows,
)
from edge_pipeline.evaluation.schema_changes import schema_changes
from edge_pipeline.short_repr import short_repr

__all__ = ["ChangedRow", "Comparison", "compare"]

NEAR_TIE = 0.1
"""Difference of the two best probabilities below which a label is a near tie."""

CONFIDENT = 0.9
"""Probability from which on a file counts as confident of its label."""


class ChangedRow(NamedTuple):
    """A row that the two files predict differently.

    Attributes
    ----------
    row
        Its number, from 1.
    before, after
        Both predictions.
    difference
        Absolute difference of two numbers, the largest one of several targets; None for labels.
    confidence_before, confidence_after
        Probability that each file gives its own label; None without probabilities.
    margin_before, margin_after
        Difference of the two best probabilities.
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
        """Whether the label of one of the two files is a near tie."""
        margins = [m for m in (self.margin_before, self.margin_after) if m is not None]
        return bool(margins) and min(margins) < NEAR_TIE

    @property
    def is_confident(self) -> bool:
        """Whether both files are confident, and contradict each other."""
        confidences = (self.confidence_before, self.confidence_after)
        return all(c is not None and c >= CONFIDENT for c in confidences)


@short_repr
@dataclass(frozen=True)
class Comparison:
    """The differences between two sealed files' predictions for the same rows.

    Attributes
    ----------
    before, after
        Manifests of the two files.
    method
        The method compared: ``predict`` if both files have it.
    rows
        Number of rows that both files accept.
    tolerance
        Largest difference of two numbers that counts as equal, relative to the largest magnitude.
    schema_changes
        Changes that matter to a program that sends rows to the first file.
    changed
        Rows with another prediction, the most important first.
    worst
        Largest difference of two numbers, or of two probabilities; None without either.
    refused_before, refused_after
        Number of a row, from 1, that only this file refuses, to the reason.
    right_before, right_after
        Number of changed rows that each file predicts correctly, when the target is known.
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
        """Whether predictions, refusals and schema are all the same."""
        return not (
            self.changed or self.schema_changes or self.refused_before or self.refused_after
        )

    @property
    def compared(self) -> str:
        """The kind of values that ``worst`` compares."""
        return "numbers" if self.after.outputs[0].dtype.startswith("float") else "probabilities"

    def verdict(self) -> list[str]:
        """Return sentences that say how much the differences matter, the worst first."""
        sentences = []
        if self.refused_after:
            sentences.append(f"{_rows(len(self.refused_after))} accepted before, refused now")
        if not self.changed:
            return [*sentences, f"no prediction changed on {_rows(self.rows)}"]
        share = 100 * len(self.changed) / self.rows
        sentences.append(f"{len(self.changed)} of {_rows(self.rows)} changed ({share:.3g} %)")
        confident = sum(row.is_confident for row in self.changed)
        ties = sum(row.is_near_tie for row in self.changed)
        if confident:
            sentences.append(
                f"in {confident} of them both files are confident of different labels "
                f"(probability {CONFIDENT} or more): look at these first"
            )
        if ties:
            sentences.append(
                f"{ties} of them are near ties (the two best probabilities less than "
                f"{NEAR_TIE} apart)"
            )
        if self.right_before is not None and self.right_after is not None:
            sentences.append(
                f"by the target, {_rows(self.right_after)} became correct and "
                f"{self.right_before} became wrong"
            )
        return sentences

    def _repr_html_(self) -> str:
        """Show the verdict and the most important rows in a notebook."""
        from edge_runtime.notebook_html import table

        lines = [(self.method, sentence) for sentence in self.verdict()]
        lines += [("schema", change) for change in self.schema_changes]
        lines += [(f"row {row.row}", f"{row.before} -> {row.after}") for row in self.changed[:20]]
        return table(f"{self.before.name}, {self.after.name}", lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
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
            "refused_before": {str(row): reason for row, reason in self.refused_before.items()},
            "refused_after": {str(row): reason for row, reason in self.refused_after.items()},
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
    """Predict the same rows with two sealed files, and report the differences.

    Parameters
    ----------
    before, after
        The two files.
    rows
        A CSV, Parquet or Arrow file, or rows as the models accept them.  Columns that a model does
        not need are ignored.
    target
        Column of *rows* with the true values, or several columns.  With it, the result says which
        changes are improvements.
    tolerance
        Largest difference of two numbers that counts as equal, relative to the largest magnitude
        of the predictions.

    Raises
    ------
    MeasurementError
        The files predict different things, or the rows do not fit them.
    DatasetError
        The file of rows cannot be read.
    EdgeRuntimeError
        One of the files is no sealed file.
    OSError
        A file cannot be read.
    """
    with load(before) as first_model, load(after) as second_model:
        table = read_rows(rows, first_model.schema, second_model.schema)
        return _compare_models((first_model, second_model), table, target, tolerance)


def _compare_models(
    models: tuple[Model, Model],
    table: Any,
    target: str | Sequence[str] | None,
    tolerance: float,
) -> Comparison:
    method = _common_method(*models)
    inputs = [select_input(model.schema, table) for model in models]
    first, second = (
        predict_rows(model, method, X) for model, X in zip(models, inputs, strict=True)
    )
    accepted = np.intersect1d(first.rows, second.rows)
    old, new = _values_at(first, accepted), _values_at(second, accepted)
    if old.shape != new.shape:
        raise MeasurementError(
            f"{method} of the first file gives {_shape(old)}, of the second {_shape(new)}; "
            "compare files that predict the same thing"
        )
    probabilities = [
        _probabilities(model, take_rows(X, accepted.tolist()))
        for model, X in zip(models, inputs, strict=True)
    ]
    changed, worst = _changed_rows(old, new, accepted, tolerance, probabilities)
    right_before, right_after = (
        (None, None) if target is None else _count_correct(table, target, changed)
    )
    return Comparison(
        before=models[0].manifest,
        after=models[1].manifest,
        method=method,
        rows=len(accepted),
        tolerance=tolerance,
        schema_changes=tuple(schema_changes(models[0].manifest, models[1].manifest)),
        changed=changed,
        worst=worst,
        refused_before=_refused_only_by(first, second),
        refused_after=_refused_only_by(second, first),
        right_before=right_before,
        right_after=right_after,
    )


def _common_method(first: Model, second: Model) -> str:
    """Choose ``predict`` if both models have it, else the first method they share."""
    shared = [method for method in first.methods if method in second.methods]
    if not shared:
        raise MeasurementError(
            "the files have no method in common: "
            f"{', '.join(first.methods)}; {', '.join(second.methods)}"
        )
    return "predict" if "predict" in shared else shared[0]


def _values_at(predictions: Predictions, rows: NDArray[np.int64]) -> NDArray[Any]:
    return predictions.values[np.searchsorted(predictions.rows, rows)]


def _refused_only_by(refusing: Predictions, accepting: Predictions) -> dict[int, str]:
    """Number the rows that *refusing* refuses and *accepting* does not, with the reason."""
    return {
        row + 1: reason for row, reason in refusing.refused.items() if row not in accepting.refused
    }


def _count_correct(
    table: Any, target: str | Sequence[str], changed: Sequence[ChangedRow]
) -> tuple[int, int]:
    true = target_columns(table, target).iloc[[row.row - 1 for row in changed]].to_numpy()
    return count_correct(
        true,
        [row.before for row in changed],
        [row.after for row in changed],
        numeric=bool(changed) and changed[0].difference is not None,
    )


def _shape(predictions: NDArray[Any]) -> str:
    if predictions.ndim == 1:
        return "one value a row"
    return f"{predictions.shape[1]} values a row"


def _probabilities(model: Model, rows: Any) -> NDArray[Any] | None:
    if "predict_proba" not in model.methods:
        return None
    proba = model.predict_proba(rows)
    # A list: several targets, which have no single confidence.
    return proba if isinstance(proba, np.ndarray) and proba.ndim == 2 else None


def _changed_rows(
    old: NDArray[Any],
    new: NDArray[Any],
    rows: NDArray[np.int64],
    tolerance: float,
    probabilities: list[NDArray[Any] | None],
) -> tuple[tuple[ChangedRow, ...], float | None]:
    """Find the rows that differ, the most important first, and the largest difference."""
    numeric = old.dtype.kind == "f" and new.dtype.kind == "f"
    if numeric:
        differences = _row_differences(old, new)
        finite = np.abs(old[np.isfinite(old)])
        scale = float(finite.max(initial=0.0)) or 1.0
        differs = ~(differences <= tolerance * scale)
        worst: float | None = float(differences.max(initial=0.0))
    else:
        differs = (old.astype(object) != new.astype(object)).reshape(len(old), -1).any(axis=1)
        differences = np.zeros(len(old))
        worst = _largest_difference(*probabilities)
    before, after = (_confidence(proba) for proba in probabilities)
    changed = [
        ChangedRow(
            row=int(rows[i]) + 1,
            before=_python_value(old[i]),
            after=_python_value(new[i]),
            difference=float(differences[i]) if numeric else None,
            confidence_before=before.best[i] if before else None,
            confidence_after=after.best[i] if after else None,
            margin_before=before.margin[i] if before else None,
            margin_after=after.margin[i] if after else None,
        )
        for i in np.flatnonzero(differs)
    ]
    changed.sort(key=lambda row: (-(row.difference or 0.0), -_shared_confidence(row), row.row))
    return tuple(changed), worst


def _row_differences(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the largest absolute difference of each row; NaN equals NaN, and else is infinite."""
    with np.errstate(invalid="ignore"):
        differences = np.where(old == new, 0.0, np.abs(old - new))
    differences[np.isnan(old) & np.isnan(new)] = 0.0
    by_row = np.nan_to_num(differences.reshape(len(old), -1), nan=np.inf)
    return np.asarray(by_row.max(axis=1), dtype=np.float64)


def _python_value(prediction: Any) -> Any:
    """Convert a numpy scalar or array; elements of object arrays are Python values already."""
    return prediction.tolist() if isinstance(prediction, np.ndarray | np.generic) else prediction


def _largest_difference(first: NDArray[Any] | None, second: NDArray[Any] | None) -> float | None:
    if first is None or second is None or first.shape != second.shape:
        return None
    return float(np.abs(first - second).max(initial=0.0))


def _shared_confidence(row: ChangedRow) -> float:
    """The confidence of the less confident file."""
    return min(row.confidence_before or 0.0, row.confidence_after or 0.0)


class _Confidence(NamedTuple):
    """Of each row: the best probability, and its lead over the second best."""

    best: list[float]
    margin: list[float]


def _confidence(probabilities: NDArray[Any] | None) -> _Confidence | None:
    if probabilities is None or probabilities.shape[1] < 2:
        return None
    ordered = np.sort(probabilities, axis=1)
    return _Confidence(ordered[:, -1].tolist(), (ordered[:, -1] - ordered[:, -2]).tolist())


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
