"""A recipe, or a function that trains, in; a sealed and proven file out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_pipeline.arguments import check_writable
from edge_pipeline.data.dataset import Dataset, load_dataset
from edge_pipeline.data.imports import ImportingError, did_you_mean, find_function, modules_from
from edge_pipeline.data.recipe import Recipe, read_recipe
from edge_pipeline.data.tables import plain_columns, read_table
from edge_pipeline.errors import DatasetError, TrainingError
from edge_pipeline.evaluation.report.evaluation import sidecar_of
from edge_pipeline.export_estimator import ExportResult, export
from edge_pipeline.packaging.signing import SigningKey, as_signing_key
from edge_pipeline.progress import SILENT, ProgressListener
from edge_pipeline.training.engines import LOCAL, Engine
from edge_pipeline.training.fit import FittedModel, train

__all__ = ["build", "estimator_and_sample", "export_function"]

OUTPUT_FOLDER = Path("dist")
"""Where bundles are written when nobody says otherwise, below the current directory."""


def build(
    recipe: Recipe | Path | str,
    output: Path | str | None = None,
    *,
    table: Any = None,
    engine: Engine = LOCAL,
    watcher: ProgressListener = SILENT,
    signing_key: SigningKey | Path | str | None = None,
    report: bool = False,
) -> ExportResult:
    """Train what *recipe* describes, and write it as one sealed file proven to answer the same.

    Parameters
    ----------
    recipe
        What :func:`~edge_pipeline.data.recipe.read_recipe` returned, or where it would find one.
    output
        File to write; ``dist/NAME.onnx`` when not given.  Its folder is made.
    table
        A frame of pandas or polars, or an Arrow table, instead of the rows that the recipe names.
    engine
        Where a search for parameters runs.
    watcher
        Is told each stage, each epoch, and the fitted model.
    signing_key
        Signs the file: a key, or the PEM file of one that has no password.
    report
        Whether to evaluate the file on the test rows, and to write what is found beside it:
        ``NAME.report.html``, ``.md`` and ``.json``.

    Returns
    -------
    Report
        Of the export; its ``seconds`` have the stages ``read`` and ``train`` too.

    Raises
    ------
    RecipeError, DatasetError, TrainingError
        Before anything is written.
    ConversionError, ParityError, LimitError, SealError, SigningError
        As :func:`~edge_pipeline.export_estimator.export`.
    OSError
        A file cannot be read or written.
    """
    # Before the work: a wrong key must not cost an hour of training.
    key = None if signing_key is None else as_signing_key(signing_key)
    started = time.perf_counter()
    watcher.stage("read")
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(recipe)
    limits = limits_of(recipe)
    path = _output_path(output, recipe.name)
    dataset = load_dataset(recipe, table)
    watcher.loaded(dataset)
    read_seconds = time.perf_counter() - started

    watcher.stage("train")
    fitted = train(recipe, dataset, watcher=watcher, engine=engine)

    done = export(
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
        on_stage=watcher.stage,
    )
    seconds = {"read": read_seconds, "train": fitted.seconds, **done.seconds}
    done = replace(done, seconds=seconds, search=fitted.search)
    if not report:
        return done
    return _reported(done, recipe, dataset, fitted, watcher, from_file=table is None)


def export_function(
    reference: str,
    output: Path | str | None = None,
    *,
    table: Path | str | None = None,
    name: str | None = None,
    tolerance: float = 1e-9,
    watcher: ProgressListener = SILENT,
    signing_key: SigningKey | Path | str | None = None,
) -> ExportResult:
    """Call a function that returns a fitted estimator, and export what it returns.

    Parameters
    ----------
    reference
        ``module:function``, the module in the current folder or installed, or
        ``folder/file.py:function``.  It returns a fitted estimator, or a tuple
        ``(estimator, X)`` with a sample of the training input.
    output
        File to write; ``dist/NAME.onnx`` when not given.  Its folder is made.
    table
        CSV or Parquet file with the training input, when the function returns no sample.
        Columns that the estimator does not know, its target say, are left out.
    name
        Of the model; the function's name when not given.
    signing_key
        As :func:`build`.

    Raises
    ------
    TrainingError
        There is no such function, it raised, or it returned something else.
    DatasetError
        No sample, or one that lacks a column of the estimator.
    ConversionError, ParityError, SealError, SigningError
        As :func:`~edge_pipeline.export_estimator.export`.
    OSError
        A file cannot be read or written.
    """
    key = None if signing_key is None else as_signing_key(signing_key)
    name = name or reference.rpartition(":")[2]
    path = _output_path(output, name)
    started = time.perf_counter()
    watcher.stage("train")
    estimator, X = estimator_and_sample(reference, table)
    train_seconds = time.perf_counter() - started
    report = export(
        estimator,
        X,
        path,
        name=name,
        tolerance=tolerance,
        signing_key=key,
        on_stage=watcher.stage,
    )
    return replace(report, seconds={"train": train_seconds, **report.seconds})


def estimator_and_sample(reference: str, table: Path | str | None) -> tuple[Any, Any]:
    """What the function *reference* returns: a fitted estimator, and a sample of its input.

    Raises
    ------
    TrainingError, DatasetError, OSError
        As :func:`export_function`.
    """
    made = _call(reference)
    estimator, X = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not (hasattr(estimator, "predict") or hasattr(estimator, "transform")):
        raise TrainingError(
            f"{reference} returned a {type(estimator).__name__}; expected a fitted estimator, "
            "or (estimator, X)"
        )
    if table is not None:
        X = _sample_for(estimator, Path(table))
    if X is None:
        raise DatasetError(
            f"{reference} returned no sample of the training input; return (estimator, X), "
            "or name a table"
        )
    return estimator, X


def limits_of(recipe: Recipe) -> dict[str, float]:
    """The limits of *recipe* by the names that the manifest has for them.

    Raises
    ------
    RecipeError
        A score is limited, and no metric is measured.
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


def _reported(
    done: ExportResult,
    recipe: Recipe,
    dataset: Dataset,
    fitted: FittedModel,
    watcher: ProgressListener,
    *,
    from_file: bool,
) -> ExportResult:
    """*done* with the page that was written about it."""
    # matplotlib and jinja2 take half a second, which only the page is worth.
    from edge_pipeline.evaluation.report import write_report

    watcher.stage("report")
    started = time.perf_counter()
    found = write_report.evaluate_build(done.path, recipe, dataset, fitted, from_file=from_file)
    found.write(sidecar_of(done.path))
    written = write_report.report(done.path)
    seconds = {**done.seconds, "report": time.perf_counter() - started}
    return replace(done, written=written, seconds=seconds)


def _output_path(output: Path | str | None, name: str) -> Path:
    path = Path(output) if output is not None else OUTPUT_FOLDER / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    return check_writable(path)


def _call(reference: str) -> Any:
    place, _, function = reference.rpartition(":")
    folder, module = Path(), place
    if place.endswith(".py"):
        folder, module = Path(place).parent, Path(place).stem
        if not Path(place).is_file():
            raise FileNotFoundError(2, "No such file", place)
    with modules_from(folder):
        try:
            return find_function(f"{module}:{function}")()
        except ImportingError as error:
            raise TrainingError(str(error)) from error
        except Exception as error:
            # The function is the user's own code: whatever it raises is its fault.
            raise TrainingError(f"{reference} failed: {type(error).__name__}: {error}") from error


def _sample_for(estimator: Any, file: Path) -> Any:
    """The columns of *file* that *estimator* was fitted on, in the container it was fitted on."""
    frame = plain_columns(read_table(file), {}, str(file))
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        for name in names:
            if name not in frame.columns:
                raise DatasetError(
                    f"{file}: column {name!r} is missing; the estimator was fitted on it"
                    f"{did_you_mean(str(name), frame.columns)}"
                )
        return frame[list(names)]
    count = getattr(estimator, "n_features_in_", frame.shape[1])
    if count != frame.shape[1]:
        raise DatasetError(
            f"{file}: {frame.shape[1]} columns, the estimator was fitted on {count} without "
            "names; leave the others out of the table"
        )
    return frame.to_numpy()
