"""Write the report of a sealed file: an HTML page, a Markdown card and the build's evaluation.

No other module of this folder reads or writes files, ``Evaluation.read`` and ``write`` apart.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.atomic_file import write_whole
from edge_runtime.bundle.layout import unpack
from edge_runtime.loading import load
from numpy.typing import NDArray

from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.accuracy import target_columns
from edge_pipeline.evaluation.isolated_benchmark import bench
from edge_pipeline.evaluation.predictions import read_rows, select_input
from edge_pipeline.evaluation.report.curves import LEARNING_FOLDS, LEARNING_SHARES, learning_curves
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
    sidecar_of,
)
from edge_pipeline.evaluation.report.page import SealedFile, render_card, render_page
from edge_pipeline.evaluation.report.scores import BASELINES
from edge_pipeline.short_repr import short_repr

if TYPE_CHECKING:
    from edge_pipeline.data.dataset import Dataset
    from edge_pipeline.data.recipe import Recipe
    from edge_pipeline.training.fit import FittedModel

__all__ = ["ReportFiles", "evaluate_build", "report"]

MAX_LEARNING_SECONDS = 20.0
"""A learning curve that would take longer is left out: it fits the estimator fifteen times."""

MAX_CANDIDATES = 20
"""Candidates of a search in the report, the best first."""


@short_repr
@dataclass(frozen=True)
class ReportFiles:
    """The files of a report, and its evaluation.

    Attributes
    ----------
    page, card
        The HTML page and the Markdown card.
    evaluation
        The content that the sealed file itself does not hold.
    """

    page: Path
    card: Path
    evaluation: Evaluation

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame that the notebook's style does not reach."""
        from html import escape

        source = escape(self.page.read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{source}" title="model report" width="100%" height="700"></iframe>'


def report(
    path: str | os.PathLike[str],
    *,
    rows: Any = None,
    target: str | Sequence[str] | None = None,
    date: str | None = None,
    output: str | os.PathLike[str] | None = None,
) -> ReportFiles:
    """Write the report of a sealed file: ``NAME.report.html`` and ``NAME.report.md``.

    The report includes the measurements that the build wrote to ``NAME.report.json``, if they
    belong to this file.  Without them, *rows* with a known target give the figures.

    Parameters
    ----------
    path
        The sealed file.
    rows
        A CSV, Parquet or Arrow file, or a frame, with rows that training did not see.
    target
        Column of *rows* with the true values, or several columns.
    date
        Date of the training, as free text; replaces the date of the build.
    output
        The HTML file; the card gets the same name with ``.md``.

    Raises
    ------
    MeasurementError
        The rows do not fit the model, or ``NAME.report.json`` holds something else.
    EdgeRuntimeError
        *path* is no sealed file.
    OSError
        A file cannot be read or written.
    """
    if rows is None and target is not None:
        raise MeasurementError(
            "target names a column of rows, and there are no rows; pass rows too"
        )
    path = Path(path)
    raw = path.read_bytes()
    bundle = unpack(raw)
    sidecar = sidecar_of(path)
    evaluation = Evaluation(sha256=bundle.seal.sha256)
    if sidecar.is_file():
        build_evaluation = Evaluation.read(sidecar)
        if build_evaluation.sha256 == bundle.seal.sha256:
            evaluation = build_evaluation
        else:
            reason = f"{sidecar.name} belongs to another build of the file"
            evaluation = _without_training(evaluation, reason)
    elif rows is None:
        reason = f"{sidecar.name}, which the build writes, is missing"
        evaluation = _without_training(evaluation, reason)
    if rows is not None:
        evaluation = _evaluate_rows(path, evaluation, rows, target)
    if evaluation.measured is None:
        evaluation = evaluation.model_copy(update={"measured": _measure(path, None)})
    if date is not None:
        evaluation = evaluation.model_copy(update={"date": date})
    page = path.with_name(f"{path.stem}.report.html") if output is None else Path(output)
    return _write_files(SealedFile(bundle, path.name, len(raw)), evaluation, page)


def evaluate_build(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    fitted: FittedModel,
    *,
    from_file: bool = True,
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
    """
    sections = Sections()
    metrics = recipe.metrics or USUAL_METRICS.get(recipe.task, ())
    n_refused = _evaluate_test_rows(path, recipe, dataset, metrics, sections)
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
        measured=_measure(path, dataset.X_test),
        training_seconds=fitted.seconds,
        warnings=fitted.warnings,
        left_out=sections.left_out,
        **sections.values,
    )


def _evaluate_test_rows(
    path: Path, recipe: Recipe, dataset: Dataset, metrics: tuple[str, ...], sections: Sections
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


def _evaluate_rows(
    path: Path, evaluation: Evaluation, rows: Any, target: str | Sequence[str] | None
) -> Evaluation:
    """Replace the figures of *evaluation* that come from test rows by those of *rows*."""
    sections = Sections()
    with load(path) as model:
        table = read_rows(rows, model.schema)
        y = None
        if target is not None:
            table = table[target_columns(table, target).notna().all(axis="columns")]
            values = target_columns(table, target).to_numpy()
            values = values[:, 0] if values.shape[1] == 1 else values
            y = _like_labels(values, model.manifest.classes.get("predict", ()))
        data = EvaluationRows(select_input(model.schema, table), y, model.manifest.task)
        n_refused = evaluate(model, data, sections)
    name = Path(rows).name if isinstance(rows, str | Path) else type(rows).__name__
    target_names = target if target is None or isinstance(target, str) else ", ".join(target)
    source = evaluation.source or Source(
        name=name, sha256=_digest(table, y), what="the rows of this report"
    )
    return evaluation.model_copy(
        update={
            **dict.fromkeys(_FIGURES_OF_ROWS, ()),
            **sections.values,
            "left_out": {**evaluation.left_out, **sections.left_out},
            "dummy": None,
            "source": source.model_copy(
                update={"rows_test": len(table), "rows_refused": n_refused, "target": target_names}
            ),
        }
    )


_FIGURES_OF_ROWS = ("scores", "roc", "precision_recall", "residuals", "importance", "groups")
"""Fields of an evaluation that hold a tuple of figures computed from the test rows."""


def _like_labels(values: NDArray[Any], classes: Sequence[Any]) -> NDArray[Any]:
    """Convert the values of a table to the type of the model's labels: 1.0 or "1" to 1, say."""
    if not classes or isinstance(classes[0], list):
        return values
    kind = type(classes[0])
    if kind is str:
        return values.astype(str)
    return values.astype(np.float64).astype(kind) if kind in (int, bool) else values


def _without_training(evaluation: Evaluation, reason: str) -> Evaluation:
    return evaluation.model_copy(update={"left_out": {"training": reason}})


def _measure(path: Path, rows: Any) -> Measurements:
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
        sha256, subject = _digest(dataset.X_train, dataset.y_train), "the training rows"
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


def _digest(X: Any, y: Any) -> str:
    """Compute the SHA-256 of rows that come from no file, over pandas' hash of each value."""
    digest = hashlib.sha256()
    for values in (X, y):
        if values is None:
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


def _write_files(sealed_file: SealedFile, evaluation: Evaluation, page: Path) -> ReportFiles:
    card = page.with_suffix(".md")
    write_whole(render_page(sealed_file, evaluation).encode(), page)
    write_whole(render_card(sealed_file, evaluation).encode(), card)
    return ReportFiles(page, card, evaluation)
