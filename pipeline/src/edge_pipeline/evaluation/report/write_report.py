"""``report``: a sealed file in, a page and a card beside it out; and what a build adds.

Alone in this folder it reads and writes files.
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
from edge_pipeline.evaluation.report.evaluation import (
    CandidateRow,
    Curve,
    Evaluation,
    Measurements,
    Source,
    sidecar_of,
)
from edge_pipeline.evaluation.report.page import SealedFile, render_card, render_page
from edge_pipeline.evaluation.report.scores import BASELINES

if TYPE_CHECKING:
    from edge_pipeline.data.dataset import Dataset
    from edge_pipeline.data.recipe import Recipe
    from edge_pipeline.training.fit import FittedModel

__all__ = ["ReportFiles", "evaluate_build", "report"]

LONGEST_LEARNING_SECONDS = 20.0
"""A learning curve that would take longer is left out: it fits the estimator fifteen times."""


MOST_TRIED = 20
"""Candidates of a search that are told, the best first."""


@dataclass(frozen=True)
class ReportFiles:
    """The report of a sealed file, as it was written.

    Attributes
    ----------
    page, card
        The HTML page and the Markdown card.
    evaluation
        What is not in the sealed file itself.
    """

    page: Path
    card: Path
    evaluation: Evaluation

    def _repr_html_(self) -> str:
        """Show the page in a notebook, apart from the notebook's own style."""
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

    What the build kept beside the file, in ``NAME.report.json``, is told too, if it belongs to this
    file.  Without it, *rows* whose target is known give the figures.

    Parameters
    ----------
    rows
        A CSV, Parquet or Arrow file, or a frame; rows that training did not see.
    target
        Column of *rows* with the right answers, or several.
    date
        Of the training, in the words of whoever reads it; replaces that of the build.
    output
        The HTML file; the card gets its name, with ``.md``.

    Raises
    ------
    MeasurementError
        The rows do not fit the model, or the sidecar is no such file.
    EdgeRuntimeError
        *path* is no sealed file.
    OSError
        A file cannot be read or written.
    """
    if rows is None and target is not None:
        raise MeasurementError("a target is a column of rows, and no rows are given")
    path = Path(path)
    raw = path.read_bytes()
    bundle = unpack(raw)
    sidecar = sidecar_of(path)
    evaluation = Evaluation(sha256=bundle.seal.sha256)
    if sidecar.is_file():
        kept = Evaluation.read(sidecar)
        if kept.sha256 == bundle.seal.sha256:
            evaluation = kept
        else:
            evaluation = _without(evaluation, f"{sidecar.name} is about another build of the file")
    elif rows is None:
        evaluation = _without(evaluation, f"{sidecar.name}, which the build writes, is not here")
    if rows is not None:
        evaluation = _evaluated(path, evaluation, rows, target)
    if evaluation.measured is None:
        evaluation = evaluation.model_copy(update={"measured": _measured(path, None)})
    if date is not None:
        evaluation = evaluation.model_copy(update={"date": date})
    page = path.with_name(f"{path.stem}.report.html") if output is None else Path(output)
    return _written(SealedFile(bundle, path.name, len(raw)), evaluation, page)


def evaluate_build(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    fitted: FittedModel,
    *,
    from_file: bool = True,
) -> Evaluation:
    """What the build of the file at *path* knows, and keeps beside it for the report.

    *from_file*: whether the rows are those that the recipe names.
    """
    sections = Sections()
    metrics = recipe.metrics or USUAL_METRICS.get(recipe.task, ())
    refused, seed, wanted = 0, recipe.split.seed, recipe.report
    with load(path) as model:
        sha256 = unpack(path.read_bytes()).seal.sha256
        if dataset.X_test is None:
            sections.left_out["scores"] = "no row was kept for testing (split.test_share is 0)"
        else:
            asked = EvaluationRows(
                dataset.X_test,
                dataset.y_test,
                recipe.task,
                metrics,
                dataset.y_train,
                wanted.groups,
                seed,
            )
            refused = evaluate(model, asked, sections)
    if fitted.loss_curve:
        epochs = tuple(float(i + 1) for i in range(len(fitted.loss_curve)))
        sections.found["loss"] = Curve(name="loss", x=epochs, y=fitted.loss_curve)
    elif dataset.y_train is not None and metrics:
        _learn(recipe, dataset, fitted, metrics[0], sections)
    return Evaluation(
        sha256=sha256,
        date=None if wanted.date is None else str(wanted.date),
        description=wanted.description,
        source=_source(recipe, dataset, refused, from_file=from_file),
        dummy=BASELINES.get(recipe.task),
        tried=_tried(fitted),
        tried_of=None if fitted.search is None else fitted.search.scoring,
        measured=_measured(path, dataset.X_test),
        training_seconds=fitted.seconds,
        warnings=fitted.warnings,
        left_out=sections.left_out,
        **sections.found,
    )


def _learn(
    recipe: Recipe, dataset: Dataset, fitted: FittedModel, metric: str, sections: Sections
) -> None:
    """Add the learning curve, if it does not take long."""
    from sklearn.model_selection import GroupKFold, TimeSeriesSplit

    a_fit = fitted.seconds if fitted.search is None else fitted.search.chosen.seconds
    seconds = a_fit * LEARNING_FOLDS * sum(LEARNING_SHARES)
    if seconds > LONGEST_LEARNING_SECONDS:
        sections.left_out["learning"] = f"it would take some {seconds:.0f} s"
        return
    folds: Any = LEARNING_FOLDS
    if dataset.groups_train is not None:
        folds = GroupKFold(LEARNING_FOLDS)
    elif recipe.split.time is not None:
        folds = TimeSeriesSplit(LEARNING_FOLDS)
    found = sections.add(
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
    if found and all(len(curve.x) > 1 for curve in found):
        sections.found["learning_of"] = metric
    else:
        sections.found.pop("learning", None)


def _evaluated(
    path: Path, before: Evaluation, rows: Any, target: str | Sequence[str] | None
) -> Evaluation:
    """*before* with what *rows* show, which need not be those of the build."""
    sections = Sections()
    with load(path) as model:
        table = read_rows(rows, model.schema)
        y = None
        if target is not None:
            known = target_columns(table, target)
            table = table[known.notna().all(axis="columns")]
            values = target_columns(table, target).to_numpy()
            values = values[:, 0] if values.shape[1] == 1 else values
            y = _like_labels(values, model.manifest.classes.get("predict", ()))
        asked = EvaluationRows(select_input(model.schema, table), y, model.manifest.task)
        refused = evaluate(model, asked, sections)
    name = Path(rows).name if isinstance(rows, str | Path) else type(rows).__name__
    names = target if target is None or isinstance(target, str) else ", ".join(target)
    told = before.source or Source(name=name, sha256=_digest(table, y), what="the rows asked")
    return before.model_copy(
        update={
            **{name: type(default)() for name, default in _OF_ROWS.items()},
            **sections.found,
            "left_out": {**before.left_out, **sections.left_out},
            "dummy": None,
            "source": told.model_copy(
                update={"rows_test": len(table), "rows_refused": refused, "target": names}
            ),
        }
    )


_OF_ROWS: dict[str, Any] = {
    "scores": (),
    "roc": (),
    "precision_recall": (),
    "residuals": (),
    "importance": (),
    "groups": (),
}
"""Parts of an evaluation that other rows replace, and what they are without rows."""


def _like_labels(values: NDArray[Any], classes: Sequence[Any]) -> NDArray[Any]:
    """The column of a table in the kind of the model's labels: 1.0 for 1, "1" for 1."""
    if not classes or isinstance(classes[0], list):
        return values
    kind = type(classes[0])
    if kind is str:
        return values.astype(str)
    return values.astype(np.float64).astype(kind) if kind in (int, bool) else values


def _without(evaluation: Evaluation, reason: str) -> Evaluation:
    return evaluation.model_copy(update={"left_out": {"training": reason}})


def _measured(path: Path, rows: Any) -> Measurements:
    try:
        found = bench(path, rows)
    except MeasurementError:  # a row that the model refuses: its golden rows it does not
        found = bench(path)
    return Measurements(machine=_machine(), **asdict(found))


def _machine() -> str:
    """The processor of this machine, as people call it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {platform.machine()}" if names else platform.machine()


def _tried(fitted: FittedModel) -> tuple[CandidateRow, ...]:
    """The best candidates of the search, and all of its front."""
    search = fitted.search
    if search is None:
        return ()
    front = {candidate.number for candidate in search.front}
    known = [one for one in search.candidates if np.isfinite(one.score)]
    shown = [one for i, one in enumerate(known) if i < MOST_TRIED or one.number in front]
    return tuple(
        CandidateRow(
            family=one.family,
            parameters=", ".join(f"{name}={value}" for name, value in one.parameters.items())[:200],
            score=one.score,
            spread=one.spread,
            model_bytes=None if one.device is None else one.device.model_bytes,
            latency_us=None if one.device is None else one.device.latency_us_p50,
            front=one.number in front,
            chosen=one.number == search.chosen.number,
        )
        for one in shown
    )


def _source(recipe: Recipe, dataset: Dataset, refused: int, *, from_file: bool) -> Source:
    table = recipe.data
    if table.file is not None and from_file:
        file = recipe.file.parent / table.file
        with file.open("rb") as stream:
            sha256, what = hashlib.file_digest(stream, "sha256").hexdigest(), "the file"
    else:
        sha256, what = _digest(dataset.X_train, dataset.y_train), "the training rows"
    return Source(
        name=str(table.file or table.function or table.dataset) if from_file else "a frame",
        sha256=sha256,
        what=what,
        target=", ".join(table.targets) or None,
        rows_train=len(dataset.X_train),
        rows_test=0 if dataset.X_test is None else len(dataset.X_test),
        rows_dropped=dataset.dropped_rows,
        rows_refused=refused,
    )


def _digest(X: Any, y: Any) -> str:
    """SHA-256 of rows that are in no file: of what pandas' own hash says of each."""
    found = hashlib.sha256()
    for values in (X, y):
        if values is None:
            continue
        frame = values if isinstance(values, pd.DataFrame) else pd.DataFrame(_cells(values))
        for name in frame.columns:
            found.update(repr(str(name)).encode())
            column = frame[name]
            if column.dtype == object:
                column = column.map(repr)
            found.update(pd.util.hash_pandas_object(column, index=False).to_numpy().tobytes())
    return found.hexdigest()


def _cells(values: Any) -> Any:
    return values if isinstance(values, np.ndarray) else pd.Series(list(values), dtype=object)


def _written(told: SealedFile, evaluation: Evaluation, page: Path) -> ReportFiles:
    card = page.with_suffix(".md")
    write_whole(render_page(told, evaluation).encode(), page)
    write_whole(render_card(told, evaluation).encode(), card)
    return ReportFiles(page, card, evaluation)
