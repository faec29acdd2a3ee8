"""Export a fitted estimator: convert, verify and seal it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.layout import pack
from edge_runtime.bundle.manifest import LEVELS, Manifest
from edge_runtime.bundle.schema import InputLimits

from edge_pipeline.argument_order import check_estimator_and_sample, explain_arguments
from edge_pipeline.arguments import (
    check_description,
    check_tolerance,
    check_writable,
    score_on_sample,
    target_names,
)
from edge_pipeline.conversion.convert import sample_and_rows, sample_for
from edge_pipeline.conversion.log_probabilities import log_floor
from edge_pipeline.convert_and_verify import Conversion, StageTimer, complete_rows
from edge_pipeline.data.baseline import baseline
from edge_pipeline.data.input_limits import (
    check_sample_within_limits,
    golden_rows_within_limits,
    read_input_limits,
    with_limits,
)
from edge_pipeline.data.missing_policy import MissingPolicy
from edge_pipeline.data.tensors import with_stream
from edge_pipeline.data.training_table import TrainingTable
from edge_pipeline.estimator_task import task_of
from edge_pipeline.evaluation.isolated_benchmark import BenchResult
from edge_pipeline.evaluation.limits import check_limits
from edge_pipeline.finite_rows import unseen_table, without_infinity
from edge_pipeline.neighbors_ids import check_neighbors_are_sealed, read_neighbors_ids
from edge_pipeline.packaging.seal import seal
from edge_pipeline.packaging.signing import SigningKey, as_signing_key
from edge_pipeline.short_repr import estimator_repr
from edge_pipeline.verification.predict_probes import PROBE_SECONDS
from edge_pipeline.verification.unverified_manifest import EXACT, requirements
from edge_pipeline.verification.verify import (
    NO_REFUSED_ROWS,
    RefusedRows,
    VerifiedModel,
)

if TYPE_CHECKING:
    from edge_pipeline.evaluation.report.write_report import ReportFiles
    from edge_pipeline.training.search_results import SearchResult

__all__ = ["ExportResult", "export"]

_DISTRIBUTIONS = (
    *("edge-pipeline", "edge-runtime", "numpy"),
    *("onnx", "onnxruntime", "scikit-learn", "skl2onnx"),
)

LOG_ROWS = 50
"""Rows on which log probabilities are compared with the logarithms of the probabilities."""


@dataclass(frozen=True)
class ExportResult:
    """The result of an export: the sealed file, its manifest and the measurements.

    Attributes
    ----------
    path
        The sealed file.
    bundle_bytes
        Size of the file.
    manifest
        Its manifest: schema, outputs, parity evidence, metrics.
    seconds
        Stage to its duration in seconds.
    key_id
        The key that signed the file, or None.
    notes
        Notes about the evidence; empty when nothing is noteworthy.
    refused
        Rows compared that scikit-learn refuses, and how many of them the device predicts.
    benchmark
        Speed and memory, when a limit needs them.
    search
        The candidates of the search, when the recipe has one.
    report_files
        The report and the model card of the file, when a build wrote them.
    """

    path: Path
    bundle_bytes: int
    manifest: Manifest
    seconds: Mapping[str, float]
    key_id: str | None = None
    notes: tuple[str, ...] = ()
    refused: RefusedRows = NO_REFUSED_ROWS
    benchmark: BenchResult | None = None
    search: SearchResult | None = None
    report_files: ReportFiles | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def task(self) -> str:
        """The model's task."""
        return self.manifest.task

    def __repr__(self) -> str:
        outputs = self.manifest.parity.outputs.values()
        levels = sorted({output.level for output in outputs}, key=LEVELS.index)
        rows = max((output.rows for output in outputs), default=0)
        differing = sum(output.differing for output in outputs)
        return (
            f"<ExportResult {self.name!r} in {str(self.path)!r}: {self.task}, "
            f"{self.bundle_bytes:,} bytes, {' and '.join(levels)}, {differing} of {rows:,} rows "
            f"compared differ{f', {len(self.notes)} notes' if self.notes else ''}>"
        )

    def _repr_html_(self) -> str:
        """Show the report in a notebook, or the manifest where there is no report."""
        if self.report_files is not None:
            return self.report_files._repr_html_()
        from edge_runtime.notebook_html import as_html, table

        file = [
            (str(self.path), f"{self.bundle_bytes:,} bytes"),
            *(("note", n) for n in self.notes),
        ]
        return as_html(self.manifest) + table("file", file)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON values, without golden rows and training statistics."""
        manifest = self.manifest.to_json()
        fields = ("name", "version", "task", "estimator", "outputs", "parity", "metrics")
        return {
            "path": str(self.path),
            "bundle_bytes": self.bundle_bytes,
            "key_id": self.key_id,
            **{field: manifest[field] for field in fields},
            "notes": list(self.notes),
            "report": None if self.report_files is None else str(self.report_files.page),
            "refused": self.refused._asdict(),
            **({} if self.search is None else {"search": self.search.to_json()}),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
        }


@explain_arguments
def export(
    estimator: Any,
    X: Any,
    path: str | os.PathLike[str],
    *,
    y: Any = None,
    name: str | None = None,
    task: str | None = None,
    tolerance: float = EXACT,
    X_test: Any = None,
    metrics: Mapping[str, float] | None = None,
    version: int = 1,
    limits: Mapping[str, float] | None = None,
    signing_key: SigningKey | str | os.PathLike[str] | None = None,
    missing: str | Mapping[str, str] = "as-estimator",
    input_limits: Mapping[str, Mapping[str, Any]] | None = None,
    probe_seconds: float = PROBE_SECONDS,
    ids: Sequence[str | int] | None = None,
    stream: Mapping[str, Any] | None = None,
    y_test: Any = None,
    report: bool = False,
    show_rows: bool = True,
    training_table: TrainingTable | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> ExportResult:
    """Convert, verify and seal a fitted estimator: one file that predicts as the estimator does.

    ::

        result = edge_pipeline.export(estimator, X_train, "wine.onnx")
        result                          # the file, and the evidence that it predicts the same
        edge_runtime.load("wine.onnx")  # on the device

    Parameters
    ----------
    estimator
        Any fitted scikit-learn object with predict or transform.
    X
        A sample of the training input; its columns and types are the schema.
    path
        File to write; replaced in one step, or left as it was.
    y
        Targets of *X*: with them, the estimator's own ``score`` on *X* goes into the metrics.
    name
        The model's name; the file's stem by default.
    task
        ``classification``, ``regression``, …; by default scikit-learn's type of the estimator.
    tolerance
        Largest difference allowed, relative to an output's largest magnitude.
    X_test
        Rows that training did not see: compared first when the graph is verified.
    metrics
        Numbers for the manifest.
    limits
        Limits, measured before the file is written: ``max_model_bytes``, ``max_latency_us``,
        ``max_peak_memory_mb``, ``max_label_flips``, ``min_NAME`` for a metric.
    version
        An integer that grows with every release.
    signing_key
        Signs the file: a key, or the PEM file of a key without a password.
    missing
        Where the device accepts a missing value: ``as-estimator``, wherever the fitted estimator
        predicts without it; ``as-trained``, only where *X* lacks a value; ``refuse``, never; or a
        dict from column names to one of these.
    input_limits
        Hard limits of columns, which the device enforces: ``{"temperature": {"min": -40, "max":
        125}, "island": {"values": ["Biscoe", "Dream"]}}``.  Rows of *X* and *X_test* must be within
        them.
    probe_seconds
        Seconds that scikit-learn may take for the rows compared; slow estimators get fewer rows.
    ids
        A text or whole number for each training row of an estimator with ``kneighbors``: the
        device names the neighbours by it.
    stream
        How the device cuts a stream into windows like the rows of *X*: ``rate`` in samples a
        second, ``hop``, names of ``channels``, ``time_axis`` and ``full_scale``
        (:class:`edge_runtime.Stream`).
    y_test
        Targets of *X_test*, for the report.
    report
        Whether to write a report beside the file: ``NAME.report.html``, ``.md`` and ``.json``.
        *X_test* with *y_test* gives it figures, *y* the baseline.
    show_rows
        Whether the report may show single rows.
    training_table
        How the table was read that *X* comes from, and its other columns; a build passes it.
    on_stage
        Called with ``convert``, ``verify``, ``measure`` if there are limits, ``seal``, and
        ``report`` if there is one, as they begin.

    Raises
    ------
    ConversionError
        *X* cannot be described, another argument is invalid, or the estimator has no exact
        conversion (UnsupportedEstimatorError).
    OSError
        *path* cannot be written; raised before the work starts.
    ParityError
        The graph predicts differently from scikit-learn; nothing is written.
    LimitError
        A limit is broken; nothing is written.
    MeasurementError
        A limit is unknown, or cannot be measured here; nothing is written.
    SealError
        The bundle cannot be read back; nothing is written.
    SigningError
        The key cannot be read; nothing is written.
    """
    check_estimator_and_sample(estimator, X)
    check_description(name, task, version, metrics)
    path = check_writable(path)
    neighbors_ids = read_neighbors_ids(ids, estimator)
    # Before the work: a wrong key must not cost an hour of training.
    key = None if signing_key is None else as_signing_key(signing_key)
    conversion, limits_by_column, infinity_notes = _describe_rows(
        estimator, X, X_test, tolerance, missing, input_limits, stream, StageTimer(on_stage)
    )
    metrics = {**(metrics or {}), **score_on_sample(estimator, X, y)}
    verified, dtype_notes = replace(conversion, probe_seconds=probe_seconds).verified()
    check_neighbors_are_sealed(neighbors_ids, verified)
    manifest = _manifest_of(
        verified,
        conversion,
        limits_by_column,
        training_table or TrainingTable(target_names(y)),
        name=name or path.stem,
        version=version,
        task=task or task_of(estimator),
        metrics=metrics,
        limits=dict(limits or {}),
        neighbors_ids=neighbors_ids,
    )
    bench = _check_limits(conversion, verified, manifest)
    with conversion.timer.stage("seal"):
        seal(verified, manifest, path, signing_key=key)
    notes = infinity_notes + dtype_notes
    result = _result(conversion, verified, manifest, path, key, notes, bench)
    return _with_report(result, conversion, y, X_test, y_test, show_rows) if report else result


def _describe_rows(
    estimator: Any,
    X: Any,
    X_test: Any,
    tolerance: float,
    missing: str | Mapping[str, str],
    input_limits: Mapping[str, Mapping[str, Any]] | None,
    stream: Mapping[str, Any] | None,
    timer: StageTimer,
) -> tuple[Conversion, Mapping[str, InputLimits], tuple[str, ...]]:
    """Describe the finite rows of *X* and *X_test*; also return the limits, and notes."""
    check_tolerance(tolerance)
    if hasattr(X, "tocsr"):  # the other sparse formats have no rows to select
        X = X.tocsr()
    sample, rows = sample_and_rows(estimator, X, as_tensors=stream is not None)
    if stream is not None:
        sample = replace(sample, schema=with_stream(sample.schema, stream))
    policy = MissingPolicy.read(missing, sample.schema.names)
    limits_by_column = read_input_limits(input_limits, sample.schema.columns)
    check_sample_within_limits(sample, limits_by_column, X)
    sample, rows, notes = without_infinity(sample, rows)
    unseen = unseen_table(sample, X_test, estimator, limits_by_column)
    conversion = Conversion(estimator, rows, sample, unseen, policy, tolerance, timer)
    return conversion, limits_by_column, notes


def _check_limits(
    conversion: Conversion, verified: VerifiedModel, manifest: Manifest
) -> BenchResult | None:
    """Measure what *manifest* limits, on unseen rows if there are any."""
    if not manifest.limits:
        return None
    sample, unseen = conversion.sample, conversion.unseen
    with conversion.timer.stage("measure"):
        bundle = pack(verified.model.graph, manifest)
        table = complete_rows(sample.table if unseen is None else unseen, manifest.schema)
        rows = sample.as_trained(table) if len(table) else None
        return check_limits(bundle, manifest, rows, conversion.estimator)


def _result(
    conversion: Conversion,
    verified: VerifiedModel,
    manifest: Manifest,
    path: Path,
    key: SigningKey | None,
    notes: tuple[str, ...],
    bench_result: BenchResult | None,
) -> ExportResult:
    return ExportResult(
        path=path,
        bundle_bytes=path.stat().st_size,
        manifest=manifest,
        seconds=conversion.timer.seconds,
        key_id=None if key is None else key.key_id,
        notes=(*notes, *verified.notes),
        refused=verified.refused,
        benchmark=bench_result,
    )


def _with_report(
    result: ExportResult, conversion: Conversion, y: Any, X_test: Any, y_test: Any, show_rows: bool
) -> ExportResult:
    """Evaluate the file, write the report beside it, and add the report to *result*."""
    with conversion.timer.stage("report"):
        # Only the report needs matplotlib and jinja2, which take half a second to import.
        from edge_pipeline.evaluation.report.write_report import report_export

        estimator, train = conversion.estimator, (conversion.sample, y)
        tensors = conversion.sample.schema.kind == "tensor"
        unseen = None if X_test is None else sample_for(estimator, X_test, as_tensors=tensors)
        test = (unseen, y_test)
        files = report_export(result, estimator, train, test, show_rows=show_rows)
    return replace(result, report_files=files)


def _manifest_of(
    verified: VerifiedModel,
    conversion: Conversion,
    limits_by_column: Mapping[str, InputLimits],
    table: TrainingTable,
    **description: Any,
) -> Manifest:
    """Write the manifest of *verified*; *description* has the fields that the user can set."""
    schema = with_limits(verified.model.schema, limits_by_column)
    estimator, sample = conversion.estimator, conversion.sample
    return Manifest(
        schema=table.known_to(schema),
        reading=table.sealed_reading,
        outputs=verified.model.outputs,
        classes=verified.model.classes,
        parity=verified.parity,
        golden=golden_rows_within_limits(verified.golden, schema),
        requires=requirements(verified.model),
        estimator=estimator_repr(estimator),
        baseline=baseline(sample),
        log_floor=log_floor(estimator, sample.as_trained(sample.table.head(LOG_ROWS))),
        created_by={name: installed_version(name) for name in _DISTRIBUTIONS},
        **description,
    )
