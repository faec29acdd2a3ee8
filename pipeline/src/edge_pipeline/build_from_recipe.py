"""Build a sealed file from a recipe, or from a function that returns a fitted estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_pipeline.argument_order import recipe_path
from edge_pipeline.arguments import check_writable
from edge_pipeline.convert_and_verify import StageTimer
from edge_pipeline.data.dataset import Dataset, load_dataset
from edge_pipeline.data.estimator_function import estimator_and_sample, is_estimator_file
from edge_pipeline.data.recipe import Recipe, read_recipe
from edge_pipeline.evaluation.report.measurements import sidecar_of
from edge_pipeline.export_estimator import ExportResult, export
from edge_pipeline.packaging.signing import SigningKey, as_signing_key
from edge_pipeline.progress import SILENT, ProgressListener
from edge_pipeline.training.engines import LOCAL, Engine
from edge_pipeline.training.fit import FittedModel, train

__all__ = ["build", "export_function"]

OUTPUT_FOLDER = Path("dist")
"""Default folder for sealed files, in the current directory."""


def build(
    recipe: Recipe | Path | str,
    output: Path | str | None = None,
    *,
    table: Any = None,
    engine: Engine = LOCAL,
    watcher: ProgressListener = SILENT,
    signing_key: SigningKey | Path | str | None = None,
    report: bool = False,
    show_rows: bool = True,
) -> ExportResult:
    """Train the estimator of *recipe*, and export it to one sealed file.

    Parameters
    ----------
    recipe
        A recipe, or the path of a recipe.toml or of its folder.
    output
        File to write; ``dist/NAME.onnx`` by default.  Its folder is created.
    table
        A frame of pandas or polars, or an Arrow table, instead of the rows that the recipe names.
    engine
        Runs the search for parameters.
    watcher
        Receives each stage, each epoch, and the fitted model.
    signing_key
        Signs the file: a key, or the PEM file of a key without a password.
    report
        Whether to evaluate the file on the test rows, and to write a report beside it:
        ``NAME.report.html``, ``.md`` and ``.json``.
    show_rows
        Whether the report may show single rows; ``[report] rows`` of the recipe may forbid it too.

    Returns
    -------
    ExportResult
        Its ``seconds`` include the stages ``read`` and ``train``.

    Raises
    ------
    RecipeError, DatasetError, TrainingError
        The recipe, the table or the training failed; nothing is written.
    ConversionError, ParityError, LimitError, SealError, SigningError
        As :func:`~edge_pipeline.export_estimator.export`.
    OSError
        A file cannot be read or written.
    """
    # Before the work: a wrong key must not cost an hour of training.
    key = None if signing_key is None else as_signing_key(signing_key)
    timer = StageTimer(watcher.stage)
    with timer.stage("read"):
        recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe_path(recipe))
        limits, path = limits_of(recipe), _output_path(output, recipe.name)
        dataset = load_dataset(recipe, table)
        watcher.loaded(dataset)
    watcher.stage("train")
    fitted = train(recipe, dataset, watcher=watcher, engine=engine)
    result = export(
        fitted.estimator,
        fitted.X_train,
        path,
        name=recipe.name,
        task=recipe.task,
        tolerance=recipe.export.tolerance,
        X_test=fitted.X_test,
        metrics=dict(fitted.metrics),
        version=recipe.version,
        limits=limits,
        signing_key=key,
        missing=recipe.input.missing,
        input_limits=recipe.input.limits_by_column,
        probe_seconds=recipe.export.probe_seconds,
        training_table=dataset.table,
        on_stage=watcher.stage,
    )
    seconds = {**timer.seconds, "train": fitted.seconds, **result.seconds}
    result = replace(result, seconds=seconds, search=fitted.search)
    if not report:
        return result
    return _with_report(
        result,
        recipe,
        dataset,
        fitted,
        watcher,
        from_file=table is None,
        show_rows=show_rows,
    )


def export_function(
    reference: str,
    output: Path | str | None = None,
    *,
    table: Path | str | None = None,
    name: str | None = None,
    tolerance: float = 1e-9,
    probe_seconds: float = 60.0,
    watcher: ProgressListener = SILENT,
    signing_key: SigningKey | Path | str | None = None,
    trusted_types: Sequence[str] = (),
    trust_pickle: bool = False,
) -> ExportResult:
    """Call a function that returns a fitted estimator, and export that estimator.

    Parameters
    ----------
    reference
        ``module:function``, the module in the current folder or installed, or
        ``folder/file.py:function``.  It returns a fitted estimator, or a tuple
        ``(estimator, X)`` with a sample of the training input.  A third element of the tuple is
        the settings of a stream.  Or a file: ``model.skops``.
    output
        File to write; ``dist/NAME.onnx`` by default.  Its folder is created.
    table
        CSV or Parquet file with the training input, when the function returns no sample.
        Columns on which the estimator was not fitted, such as the target, are ignored.
    name
        The model's name; the function's name by default.
    tolerance, probe_seconds
        As :func:`~edge_pipeline.export_estimator.export`.
    signing_key
        As :func:`build`.
    trusted_types
        Types that a ``.skops`` file may construct, beside those that skops trusts.
    trust_pickle
        Whether to load a ``.pkl`` or ``.joblib`` file of your own.  Loading it can run any code.

    Raises
    ------
    TrainingError
        There is no such function, it raised an error, or it returned something else.
    DatasetError
        There is no sample, or it lacks a column of the estimator.
    ConversionError, ParityError, SealError, SigningError
        As :func:`~edge_pipeline.export_estimator.export`.
    OSError
        A file cannot be read or written.
    """
    key = None if signing_key is None else as_signing_key(signing_key)
    is_file = is_estimator_file(reference)
    name = name or (Path(reference).stem if is_file else reference.rpartition(":")[2])
    path = _output_path(output, name)
    timer = StageTimer(watcher.stage)
    with timer.stage("train"):
        estimator, X, notes, stream = estimator_and_sample(
            reference, table, trusted_types=trusted_types, trust_pickle=trust_pickle
        )
    result = export(
        estimator,
        X,
        path,
        name=name,
        tolerance=tolerance,
        probe_seconds=probe_seconds,
        signing_key=key,
        stream=stream,
        on_stage=watcher.stage,
    )
    return replace(
        result,
        seconds={**timer.seconds, **result.seconds},
        notes=(*notes, *result.notes),
    )


def limits_of(recipe: Recipe) -> dict[str, float]:
    """Return the limits of *recipe* under their names in the manifest.

    Raises
    ------
    RecipeError
        A score is limited, but no metric is measured.
    """
    if recipe.limits is None:
        return {}
    metric = next(iter(recipe.metrics), None)
    if recipe.limits.min_score is not None and metric is None:
        raise recipe.error(
            "limits.min_score",
            "no score is measured: name one in export.metrics, and keep test rows with "
            "split.test_share",
        )
    return recipe.limits.bounds(metric)


def _with_report(
    result: ExportResult,
    recipe: Recipe,
    dataset: Dataset,
    fitted: FittedModel,
    watcher: ProgressListener,
    *,
    from_file: bool,
    show_rows: bool,
) -> ExportResult:
    """Evaluate the file, write the report beside it, and add the report to *result*."""
    # Only the report needs matplotlib and jinja2, which take half a second to import.
    from edge_pipeline.evaluation.report import write_report
    from edge_pipeline.evaluation.report.evaluate_build import evaluate_build

    timer = StageTimer(watcher.stage)
    with timer.stage("report"):
        evaluation = evaluate_build(
            result.path, recipe, dataset, fitted, from_file=from_file, show_rows=show_rows
        )
        evaluation = evaluation.model_copy(update={"notes": result.notes})
        evaluation.write(sidecar_of(result.path))
        report_files = write_report.report(result.path)
    return replace(result, report_files=report_files, seconds={**result.seconds, **timer.seconds})


def _output_path(output: Path | str | None, name: str) -> Path:
    path = Path(output) if output is not None else OUTPUT_FOLDER / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    return check_writable(path)
