"""Evaluate what only a build or an export knows: training rows, estimator, search, machine."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.layout import unpack
from edge_runtime.loading import load

from edge_pipeline.arguments import target_names
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.isolated_benchmark import bench
from edge_pipeline.evaluation.report.column_histograms import column_histograms
from edge_pipeline.evaluation.report.curves import LEARNING_FOLDS, LEARNING_SHARES, learning_curves
from edge_pipeline.evaluation.report.estimator_steps import estimator_steps
from edge_pipeline.evaluation.report.evaluate import (
    USUAL_METRICS,
    EvaluationRows,
    Sections,
    evaluate,
)
from edge_pipeline.evaluation.report.measurements import (
    CandidateRow,
    Curve,
    Evaluation,
    Measurements,
    Source,
)
from edge_pipeline.evaluation.report.scores import BASELINES

if TYPE_CHECKING:
    from edge_pipeline.data.dataset import Dataset
    from edge_pipeline.data.recipe import Recipe
    from edge_pipeline.training.fit import FittedModel

__all__ = ["digest_of", "evaluate_build", "evaluate_export", "measure_file"]

MAX_LEARNING_SECONDS = 20.0
"""A learning curve that would take longer is left out: it fits the estimator fifteen times."""

MAX_CANDIDATES = 20
"""Candidates of a search in the report, the best first."""


def evaluate_build(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    fitted: FittedModel,
    *,
    from_file: bool = True,
    show_rows: bool = True,
) -> Evaluation:
    """Evaluate a build for the report, with what only the build knows.

    Parameters
    ----------
    path
        The sealed file.
    recipe, dataset, fitted
        The recipe, its rows and the trained model.
    from_file
        Whether the rows come from the source that the recipe names.
    show_rows
        Whether the report may show single rows; the recipe may forbid it too.
    """
    sections = Sections()
    show_rows = show_rows and recipe.report.rows
    sections.add("histograms", lambda: column_histograms(dataset.X_train, dataset.X_test))
    metrics = recipe.metrics or USUAL_METRICS.get(recipe.task, ())
    n_refused = _evaluate_test_rows(path, recipe, dataset, metrics, sections, show_rows)
    if fitted.loss_curve:
        epochs = tuple(float(i + 1) for i in range(len(fitted.loss_curve)))
        sections.values["loss"] = Curve(name="loss", x=epochs, y=fitted.loss_curve)
    elif dataset.y_train is not None and metrics:
        _add_learning_curve(recipe, dataset, fitted, metrics[0], sections)
    return Evaluation(
        sha256=unpack(path.read_bytes()).seal.sha256,
        date=None if recipe.report.date is None else str(recipe.report.date),
        description=recipe.report.description,
        source=_source(recipe, dataset, n_refused, from_file=from_file),
        dummy=BASELINES.get(recipe.task),
        tried=_candidates(fitted),
        tried_of=None if fitted.search is None else fitted.search.scoring,
        tried_folds=None if fitted.search is None else fitted.search.folds,
        pipeline=estimator_steps(fitted.estimator),
        shows_rows=show_rows,
        measured=measure_file(path, dataset.X_test),
        training_seconds=fitted.seconds,
        warnings=fitted.warnings,
        left_out=sections.left_out,
        **sections.values,
    )


def evaluate_export(
    path: Path,
    estimator: Any,
    train: tuple[Sample, Any],
    test: tuple[Sample | None, Any],
    *,
    task: str,
    show_rows: bool = True,
) -> Evaluation:
    """Evaluate an export: the columns of the sample, and the test rows if their target is known.

    Parameters
    ----------
    path
        The sealed file.
    train
        The sample of the training input, and its targets or None.
    test
        Rows that training did not see or None, and their targets or None.
    """
    sections = Sections()
    (sample, y), (test_sample, y_test) = train, test
    rows = None if test_sample is None else test_sample.dense_rows(test_sample.table)
    train_rows = sample.dense_rows(sample.table)
    sections.add("histograms", lambda: column_histograms(train_rows, rows))
    n_refused = 0
    if rows is None:
        reason = "no row is known that training did not see; pass X_test and y_test to export"
        sections.left_out["scores"] = reason
    else:
        y_train, y_rows = (None if v is None else np.asarray(v) for v in (y, y_test))
        data = EvaluationRows(
            rows, y_rows, task, y_train=y_train, targets=target_names(y), show_rows=show_rows
        )
        with load(path) as model:
            n_refused = evaluate(model, data, sections)
    return Evaluation(
        sha256=unpack(path.read_bytes()).seal.sha256,
        source=_source_of_frames(train_rows, y, rows, n_refused),
        dummy=None if y is None else BASELINES.get(task),
        shows_rows=show_rows,
        pipeline=estimator_steps(estimator),
        measured=measure_file(path, rows),
        left_out=sections.left_out,
        **sections.values,
    )


def _source_of_frames(X: Any, y: Any, X_test: Any, n_refused: int) -> Source:
    return Source(
        name="a frame",
        sha256=digest_of(X, y),
        what="the training rows",
        target=", ".join(target_names(y)) or None,
        rows_train=len(X),
        rows_test=0 if X_test is None else len(X_test),
        rows_refused=n_refused,
    )


def _evaluate_test_rows(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    metrics: tuple[str, ...],
    sections: Sections,
    show_rows: bool,
) -> int:
    """Add the figures of the test rows, if there are any; return the number of refused rows."""
    if dataset.X_test is None:
        sections.left_out["scores"] = "no row was kept for testing (split.test_share is 0)"
        return 0
    data = EvaluationRows(
        dataset.X_test,
        dataset.y_test,
        recipe.task,
        metrics,
        dataset.y_train,
        recipe.report.groups,
        recipe.split.seed,
        recipe.data.targets,
        show_rows,
    )
    with load(path) as model:
        return evaluate(model, data, sections)


def _add_learning_curve(
    recipe: Recipe, dataset: Dataset, fitted: FittedModel, metric: str, sections: Sections
) -> None:
    """Add the learning curve, unless it takes too long."""
    from sklearn.model_selection import GroupKFold, TimeSeriesSplit

    fit_seconds = fitted.seconds if fitted.search is None else fitted.search.chosen.seconds
    seconds = fit_seconds * LEARNING_FOLDS * sum(LEARNING_SHARES)
    if seconds > MAX_LEARNING_SECONDS:
        sections.left_out["learning"] = f"it would take about {seconds:.0f} s"
        return
    folds: Any = LEARNING_FOLDS
    if dataset.groups_train is not None:
        folds = GroupKFold(LEARNING_FOLDS)
    elif recipe.split.time is not None:
        folds = TimeSeriesSplit(LEARNING_FOLDS)
    curves = sections.add(
        "learning",
        lambda: learning_curves(
            fitted.estimator,
            dataset.X_train,
            np.asarray(dataset.y_train),
            metric,
            folds=folds,
            groups=dataset.groups_train,
            seed=recipe.split.seed,
        ),
    )
    if curves and all(len(curve.x) > 1 for curve in curves):
        sections.values["learning_of"] = metric
    else:
        sections.values.pop("learning", None)


def _candidates(fitted: FittedModel) -> tuple[CandidateRow, ...]:
    """List the best candidates of the search, and all of its Pareto front."""
    search = fitted.search
    if search is None:
        return ()
    front = {candidate.number for candidate in search.front}
    scored = [candidate for candidate in search.candidates if np.isfinite(candidate.score)]
    return tuple(
        CandidateRow(
            family=candidate.family,
            parameters=", ".join(f"{k}={v}" for k, v in candidate.parameters.items())[:200],
            score=candidate.score,
            spread=candidate.spread,
            model_bytes=None if candidate.device is None else candidate.device.model_bytes,
            latency_us=None if candidate.device is None else candidate.device.latency_us_p50,
            front=candidate.number in front,
            chosen=candidate.number == search.chosen.number,
        )
        for i, candidate in enumerate(scored)
        if i < MAX_CANDIDATES or candidate.number in front
    )


def _source(recipe: Recipe, dataset: Dataset, n_refused: int, *, from_file: bool) -> Source:
    table = recipe.data
    if table.file is not None and from_file:
        file = recipe.file.parent / table.file
        with file.open("rb") as stream:
            sha256, subject = hashlib.file_digest(stream, "sha256").hexdigest(), "the file"
    else:
        sha256, subject = digest_of(dataset.X_train, dataset.y_train), "the training rows"
    return Source(
        name=str(table.file or table.function or table.dataset) if from_file else "a frame",
        sha256=sha256,
        what=subject,
        target=", ".join(table.targets) or None,
        rows_train=len(dataset.X_train),
        rows_test=0 if dataset.X_test is None else len(dataset.X_test),
        rows_dropped=dataset.dropped_rows,
        rows_refused=n_refused,
    )


def measure_file(path: Path, rows: Any) -> Measurements:
    """Measure size, speed and memory of a sealed file on this machine."""
    try:
        result = bench(path, rows)
    except MeasurementError:  # the model refuses one of the rows; it accepts its golden rows
        result = bench(path)
    return Measurements(machine=_machine(), **asdict(result))


def _machine() -> str:
    """Name the processor of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {platform.machine()}" if names else platform.machine()


def digest_of(X: Any, y: Any) -> str:
    """Compute the SHA-256 of rows that come from no file, over pandas' hash of each value."""
    digest = hashlib.sha256()
    for values in (X, y):
        if values is None:
            continue
        if isinstance(values, np.ndarray) and values.ndim > 2:
            digest.update(f"{values.dtype} {values.shape}".encode() + values.tobytes())
            continue
        frame = values if isinstance(values, pd.DataFrame) else pd.DataFrame(_cells(values))
        for name in frame.columns:
            digest.update(repr(str(name)).encode())
            column = frame[name]
            if column.dtype == object:
                column = column.map(repr)
            digest.update(pd.util.hash_pandas_object(column, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _cells(values: Any) -> Any:
    return values if isinstance(values, np.ndarray) else pd.Series(list(values), dtype=object)
