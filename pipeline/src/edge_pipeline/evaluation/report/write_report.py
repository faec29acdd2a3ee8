"""Write the report of a sealed file: an HTML page and a Markdown card.

No other module of this folder reads or writes files, ``Evaluation.read`` and ``write`` apart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from edge_runtime.bundle.atomic_file import write_whole
from edge_runtime.bundle.layout import Bundle, unpack
from edge_runtime.loading import load
from numpy.typing import NDArray

from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import MeasurementError
from edge_pipeline.evaluation.accuracy import target_columns
from edge_pipeline.evaluation.predictions import read_rows, select_input
from edge_pipeline.evaluation.report.browser_model import browser_model
from edge_pipeline.evaluation.report.column_histograms import column_histograms
from edge_pipeline.evaluation.report.evaluate import NO_ROWS, EvaluationRows, Sections, evaluate
from edge_pipeline.evaluation.report.evaluate_build import digest_of, evaluate_export, measure_file
from edge_pipeline.evaluation.report.measurements import Evaluation, Source, sidecar_of
from edge_pipeline.evaluation.report.page import NO_FORM, SealedFile, render_card, render_page
from edge_pipeline.short_repr import short_repr

if TYPE_CHECKING:
    from edge_pipeline.export_estimator import ExportResult

__all__ = ["ReportFiles", "report", "report_export"]


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
        attributes = 'sandbox="allow-scripts" title="model report" width="100%" height="700"'
        return f'<iframe srcdoc="{source}" {attributes}></iframe>'


def report(
    path: str | os.PathLike[str],
    *,
    rows: Any = None,
    target: str | Sequence[str] | None = None,
    date: str | None = None,
    output: str | os.PathLike[str] | None = None,
    show_rows: bool = True,
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
    show_rows
        Whether the page may show single rows: those with the worst predictions, and the golden
        rows that check the form.  A build without rows stays without.

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
        evaluation = _evaluate_rows(path, evaluation, rows, target, show_rows)
    if evaluation.measured is None:
        evaluation = evaluation.model_copy(update={"measured": measure_file(path, None)})
    if date is not None:
        evaluation = evaluation.model_copy(update={"date": date})
    if not show_rows or not evaluation.shows_rows:
        evaluation = _without_rows(evaluation)
    page = path.with_name(f"{path.stem}.report.html") if output is None else Path(output)
    form, evaluation = _form(bundle, path, evaluation)
    return _write_files(SealedFile(bundle, path.name, len(raw)), evaluation, form, page)


def report_export(
    result: ExportResult,
    estimator: Any,
    train: tuple[Sample, Any],
    test: tuple[Sample | None, Any],
    *,
    show_rows: bool,
) -> ReportFiles:
    """Evaluate an exported file, and write its report.

    Parameters
    ----------
    train, test
        Rows and their targets; either may be None.
    """
    evaluation = evaluate_export(
        result.path, estimator, train, test, task=result.task, show_rows=show_rows
    )
    evaluation = evaluation.model_copy(update={"notes": result.notes})
    evaluation.write(sidecar_of(result.path))
    return report(result.path)


def _form(bundle: Bundle, path: Path, evaluation: Evaluation) -> tuple[str | None, Evaluation]:
    """Write the model for the page's form; without one, *evaluation* gets the reason."""
    try:
        return browser_model(bundle, path, show_rows=evaluation.shows_rows), evaluation
    except MeasurementError as error:
        left_out = {**evaluation.left_out, NO_FORM: str(error)}
        return None, evaluation.model_copy(update={"left_out": left_out})


def _without_rows(evaluation: Evaluation) -> Evaluation:
    """Remove single rows from *evaluation*."""
    left_out = {**evaluation.left_out, "rows": NO_ROWS}
    return evaluation.model_copy(update={"rows": None, "shows_rows": False, "left_out": left_out})


def _evaluate_rows(
    path: Path,
    evaluation: Evaluation,
    rows: Any,
    target: str | Sequence[str] | None,
    show_rows: bool,
) -> Evaluation:
    """Replace the figures of *evaluation* that come from test rows by those of *rows*."""
    sections = Sections()
    with load(path) as model:
        table = read_rows(rows, model.manifest)
        y = None
        if target is not None:
            table = table[target_columns(table, target).notna().all(axis="columns")]
            values = target_columns(table, target).to_numpy()
            values = values[:, 0] if values.shape[1] == 1 else values
            y = _like_labels(values, model.manifest.classes.get("predict", ()))
        target_names = (target,) if isinstance(target, str) else tuple(target or ())
        selected = select_input(model.schema, table)
        data = EvaluationRows(
            selected, y, model.manifest.task, targets=target_names, show_rows=show_rows
        )
        n_refused = evaluate(model, data, sections)
    if not evaluation.histograms:
        sections.add("histograms", lambda: column_histograms(selected))
    return _with_figures_of_rows(
        evaluation,
        sections,
        evaluation.source
        or Source(
            name=Path(rows).name if isinstance(rows, str | Path) else type(rows).__name__,
            sha256=digest_of(table, y),
            what="the rows of this report",
        ),
        {
            "rows_test": len(table),
            "rows_refused": n_refused,
            "tests_training_rows": _are_training_rows(rows, selected, y, evaluation.source),
            "target": ", ".join(target_names) or None,
        },
    )


def _are_training_rows(rows: Any, selected: Any, y: Any, source: Source | None) -> bool:
    """Whether the file, or the rows of a frame, are those that the build or export recorded."""
    if source is None:
        return False
    if not isinstance(rows, str | Path):
        return digest_of(selected, None if y is None else y.tolist()) == source.sha256
    with Path(rows).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == source.sha256


def _with_figures_of_rows(
    evaluation: Evaluation, sections: Sections, source: Source, of_rows: dict[str, Any]
) -> Evaluation:
    """Replace the figures of test rows, and the reasons for those that are missing."""
    left_out = {k: v for k, v in evaluation.left_out.items() if k not in sections.values}
    return evaluation.model_copy(
        update={
            **dict.fromkeys(_TUPLES_OF_ROWS, ()),
            **dict.fromkeys(_SINGLE_FIGURES_OF_ROWS),
            **sections.values,
            "left_out": {**left_out, **sections.left_out},
            "dummy": None,
            "source": source.model_copy(update=of_rows),
        }
    )


_TUPLES_OF_ROWS = (
    "scores", "roc", "precision_recall", "residuals", "importance", "groups", "classes",
    "dependence",
)  # fmt: skip
_SINGLE_FIGURES_OF_ROWS = (
    "confusion", "calibration", "thresholds", "rows", "answers", "anomaly_scores",
)  # fmt: skip
"""Fields of an evaluation that hold figures computed from the test rows."""


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


def _write_files(
    sealed_file: SealedFile, evaluation: Evaluation, form: str | None, page: Path
) -> ReportFiles:
    card = page.with_suffix(".md")
    write_whole(render_page(sealed_file, evaluation, form).encode(), page)
    write_whole(render_card(sealed_file, evaluation).encode(), card)
    return ReportFiles(page, card, evaluation)
