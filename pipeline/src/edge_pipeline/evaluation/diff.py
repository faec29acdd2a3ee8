"""Compare the predictions of two sealed files, and rank the rows that changed by importance.

A change matters more when both files are confident; a target says which of them is correct.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from edge_runtime.bundle.atomic_file import write_whole
from edge_runtime.loading import load
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.accuracy import count_correct, target_columns
from edge_pipeline.evaluation.comparison import ChangedRow, Comparison
from edge_pipeline.evaluation.predictions import (
    Predictions,
    predict_rows,
    read_rows,
    select_input,
    take_rows,
)
from edge_pipeline.evaluation.schema_changes import schema_changes

__all__ = ["compare"]


def compare(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    rows: Any,
    *,
    target: str | Sequence[str] | None = None,
    tolerance: float = 1e-9,
    page: str | os.PathLike[str] | None = None,
    show_rows: bool = True,
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
    page
        HTML file to write: what changed, for which groups of rows, and the rows themselves.
    show_rows
        Whether that page may show single rows.

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
        table = read_rows(rows, first_model.manifest, second_model.manifest)
        result, compared = _compare_models((first_model, second_model), table, target, tolerance)
    if page is not None:
        # Only the page needs jinja2, and pages import this module.
        from edge_pipeline.evaluation.report.compare_page import ComparedRows, render_comparison

        files = (Path(before).name, Path(after).name)
        html = render_comparison(result, ComparedRows(*compared), files, show_rows=show_rows)
        write_whole(html.encode(), Path(page))
    return result


def _compare_models(
    models: tuple[Model, Model],
    table: Any,
    target: str | Sequence[str] | None,
    tolerance: float,
) -> tuple[Comparison, tuple[Any, ...]]:
    """Compare two models; also return the rows and values for a page."""
    method = _common_method(*models)
    inputs = [select_input(model.schema, table) for model in models]
    first, second = (
        predict_rows(model, method, X) for model, X in zip(models, inputs, strict=True)
    )
    accepted = np.intersect1d(first.rows, second.rows)
    old, new = _values_at(first, accepted), _values_at(second, accepted)
    _check_shapes(method, old, new)
    probabilities = [
        _probabilities(model, take_rows(X, accepted.tolist()))
        for model, X in zip(models, inputs, strict=True)
    ]
    changed, worst = _changed_rows(old, new, accepted, tolerance, probabilities)
    right_before = right_after = true = None
    if target is not None:
        right_before, right_after = _count_correct(table, target, changed)
        true = target_columns(table, target).iloc[accepted.tolist()].to_numpy()
    comparison = Comparison(
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
    return comparison, (inputs[0], accepted, old, new, true)


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


def _check_shapes(method: str, old: NDArray[Any], new: NDArray[Any]) -> None:
    if old.shape != new.shape:
        raise MeasurementError(
            f"{method} of the first file gives {_shape(old)}, of the second {_shape(new)}; "
            "compare files that predict the same thing"
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
