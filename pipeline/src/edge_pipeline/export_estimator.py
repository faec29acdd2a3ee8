"""``export``: a fitted estimator in, one sealed file out; the three stages in a row."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.layout import pack
from edge_runtime.bundle.manifest import Manifest
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

from edge_pipeline.arguments import (
    check_description,
    check_tolerance,
    check_writable,
    score_on_sample,
)
from edge_pipeline.conversion.convert import OnnxModel, convert_sample, sample_for
from edge_pipeline.data.sample import Sample, rows_with_infinity, take_sample
from edge_pipeline.errors import ConversionError, ParityError
from edge_pipeline.evaluation.isolated_benchmark import BenchResult
from edge_pipeline.evaluation.limits import check_limits
from edge_pipeline.packaging.seal import seal
from edge_pipeline.packaging.signing import SigningKey, as_signing_key
from edge_pipeline.training.search_results import SearchResult
from edge_pipeline.verification.float32_inputs import (
    in_float64,
    is_single,
    refuse_other_arithmetic,
    refuses_float64,
)
from edge_pipeline.verification.verify import (
    EXACT,
    NO_REFUSED_ROWS,
    RefusedRows,
    VerifiedModel,
    requirements,
    verify_model,
)

if TYPE_CHECKING:
    from edge_pipeline.evaluation.report.write_report import ReportFiles

__all__ = ["ExportResult", "export"]

_DISTRIBUTIONS = (
    "edge-pipeline",
    "edge-runtime",
    "numpy",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "skl2onnx",
)


@dataclass(frozen=True)
class ExportResult:
    """What an export made and measured.

    Attributes
    ----------
    path
        The sealed file.
    bundle_bytes
        Its size.
    manifest
        What it says of itself: schema, outputs, parity evidence, metrics.
    seconds
        Stage to the seconds it took.
    key_id
        Of the key that signed it, or None.
    notes
        What whoever builds should know about the evidence; empty when all is well.
    refused
        Rows asked that scikit-learn refuses, and how many of them the device answers.
    measured
        Speed and memory, when a limit is about them.
    search
        What was tried before, when the recipe left something open.
    written
        The page and the card that tell of the file, when a build wrote them.
    """

    path: Path
    bundle_bytes: int
    manifest: Manifest
    seconds: Mapping[str, float]
    key_id: str | None = None
    notes: tuple[str, ...] = ()
    refused: RefusedRows = NO_REFUSED_ROWS
    measured: BenchResult | None = None
    search: SearchResult | None = None
    written: ReportFiles | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def task(self) -> str:
        """The model's task."""
        return self.manifest.task

    def _repr_html_(self) -> str:
        """What a notebook shows: the page, if one was written, or the facts in short."""
        if self.written is not None:
            return self.written._repr_html_()
        from edge_runtime.notebook_html import as_html, table

        file = [
            (str(self.path), f"{self.bundle_bytes:,} bytes"),
            *(("note", n) for n in self.notes),
        ]
        return as_html(self.manifest) + table("file", file)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, without the golden rows and the training statistics."""
        told = self.manifest.to_json()
        kept = {
            key: told[key]
            for key in ("name", "version", "task", "estimator", "outputs", "parity", "metrics")
        }
        return {
            "path": str(self.path),
            "bundle_bytes": self.bundle_bytes,
            "key_id": self.key_id,
            **kept,
            "notes": list(self.notes),
            "report": None if self.written is None else str(self.written.page),
            "refused": self.refused._asdict(),
            **({} if self.search is None else {"search": self.search.to_json()}),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
        }


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
    on_stage: Callable[[str], None] | None = None,
) -> ExportResult:
    """Convert, verify and seal a fitted estimator.

    Parameters
    ----------
    estimator
        Any fitted scikit-learn object with predict or transform.
    X
        A sample of the training input; its columns, types and missing values are the schema.
    path
        File to write; replaced in one step, or left as it was.
    y
        Targets of *X*: with them, the estimator's own ``score`` on *X* goes into the metrics.
    name
        The model's name; the file's stem by default.
    task
        ``classification``, ``regression``, …; by default what scikit-learn says of the estimator.
    tolerance
        Largest difference allowed, relative to an output's largest magnitude.
    X_test
        Rows that training did not see: asked first when the graph is verified.
    metrics
        Numbers for the manifest.
    limits
        What the file must keep to, measured before it is written: ``max_model_bytes``,
        ``max_latency_us``, ``max_peak_memory_mb``, ``max_label_flips``, ``min_NAME`` of a metric.
    version
        A whole number that only grows.
    signing_key
        Signs the file: a key, or the PEM file of one that has no password.
    on_stage
        Called with ``convert``, ``verify``, ``measure`` if there are limits, and ``seal`` as they
        begin.

    Raises
    ------
    ConversionError
        *X* cannot be described, another argument is not what it should be, or the estimator has no
        exact conversion (UnsupportedEstimatorError).
    OSError
        *path* cannot be written; found before the work.
    ParityError
        The graph answers differently from scikit-learn; nothing is written.
    LimitError
        A limit is broken; nothing is written.
    MeasurementError
        A limit is unknown, or cannot be measured here; nothing is written.
    SealError
        The bundle does not read back; nothing is written.
    SigningError
        The key cannot be read; nothing is written.
    """
    check_tolerance(tolerance)
    check_description(name, task, version, metrics)
    path = check_writable(path)
    # Before the work: a wrong key must not cost an hour of training.
    key = None if signing_key is None else as_signing_key(signing_key)
    seconds: dict[str, float] = {}
    tell = on_stage or (lambda _: None)
    sample, X_finite, left_out = _finite(sample_for(estimator, X), X)
    unseen = _unseen(sample, X_test, estimator)
    score = score_on_sample(estimator, X, y)
    with _timed("convert", seconds, tell):
        narrow = refuses_float64(estimator, X_finite, sample)
        oracle = in_float64(estimator) if narrow else estimator
        model = convert_sample(oracle, sample)
    with _timed("verify", seconds, tell):
        model, oracle, verified = _verified(
            model, oracle, sample, unseen, tolerance, may_widen=is_single(sample) and not narrow
        )
        notes = refuse_other_arithmetic(estimator, oracle, X_finite, sample, model, tolerance)
    manifest = Manifest(
        name=name or path.stem,
        version=version,
        task=task or task_of(estimator),
        estimator=_described(estimator),
        schema=verified.model.schema,
        outputs=verified.model.outputs,
        classes=verified.model.classes,
        parity=verified.parity,
        golden=verified.golden,
        requires=requirements(verified.model),
        created_by={name: installed_version(name) for name in _DISTRIBUTIONS},
        baseline=baseline(sample),
        metrics={**(metrics or {}), **score},
        limits=dict(limits or {}),
    )
    measured = None
    if manifest.limits:
        with _timed("measure", seconds, tell):
            raw = pack(verified.model.graph, manifest)
            measured = check_limits(raw, manifest, X if X_test is None else X_test, estimator)
    with _timed("seal", seconds, tell):
        seal(verified, manifest, path, signing_key=key)
    return ExportResult(
        path,
        path.stat().st_size,
        manifest,
        seconds,
        None if key is None else key.key_id,
        (*left_out, *notes, *verified.notes),
        verified.refused,
        measured,
    )


def _verified(
    model: OnnxModel,
    oracle: Any,
    sample: Sample,
    unseen: pd.DataFrame | None,
    tolerance: float,
    *,
    may_widen: bool,
) -> tuple[OnnxModel, Any, VerifiedModel]:
    """Model, oracle and what was verified: of float64 where learning in float32 is to blame."""
    try:
        return (
            model,
            oracle,
            verify_model(model, oracle, sample, unseen=unseen, tolerance=tolerance),
        )
    except ParityError:
        if not may_widen:
            raise
    # What it learnt in float32 makes it compute in float32 whatever it is asked in.
    oracle = in_float64(oracle)
    model = convert_sample(oracle, sample)
    return model, oracle, verify_model(model, oracle, sample, unseen=unseen, tolerance=tolerance)


def task_of(estimator: Any) -> str:
    """What the estimator is for, in scikit-learn's own judgement."""
    for task, is_kind in (
        ("classification", is_classifier),
        ("regression", is_regressor),
        ("clustering", is_clusterer),
        ("anomaly", is_outlier_detector),
    ):
        if is_kind(estimator):
            return task
    return "transform" if hasattr(estimator, "transform") else "prediction"


def baseline(sample: Sample) -> dict[str, dict[str, float]]:
    """Statistics of the training sample, column by column: what drift is measured against.

    Numbers have mean, standard deviation (population) and deciles ``q10`` to ``q90``; every column
    has ``missing``, a share of the rows.
    """
    result = {}
    for column in sample.schema.columns:
        values = sample.table[column.name]
        statistics = {"missing": float(values.isna().mean())}
        if column.is_number:
            known = values.to_numpy(dtype=np.float64)
            known = known[np.isfinite(known)]
            if len(known):
                statistics["mean"] = float(known.mean())
                statistics["std"] = float(known.std())
                for decile in range(10, 100, 10):
                    statistics[f"q{decile}"] = float(np.percentile(known, decile))
        result[column.name] = {
            key: value for key, value in statistics.items() if np.isfinite(value)
        }
    return result


@contextmanager
def _timed(stage: str, seconds: dict[str, float], tell: Callable[[str], None]) -> Iterator[None]:
    tell(stage)
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start


def _unseen(sample: Sample, X_test: Any, estimator: Any) -> pd.DataFrame | None:
    if X_test is None or (hasattr(X_test, "__len__") and not len(X_test)):
        return None
    unseen = take_sample(X_test, estimator)
    if unseen.schema.names != sample.schema.names:
        raise ConversionError(
            f"X_test has the columns {list(unseen.schema.names)}, X has "
            f"{list(sample.schema.names)}; hand the same ones"
        )
    table = unseen.table[~rows_with_infinity(unseen)]
    return table if len(table) else None


def _finite(sample: Sample, X: Any) -> tuple[Sample, Any, tuple[str, ...]]:
    """The rows without infinity, of the sample and of *X*, and a note when there are others."""
    infinite = rows_with_infinity(sample)
    if not infinite.any():
        return sample, X, ()
    if infinite.all():
        raise ConversionError(
            "every row of X holds an infinite number, and the device takes finite ones alone; hand "
            "rows that have none, or replace infinity by a large number before training"
        )
    told = (
        f"{infinite.sum()} of {len(infinite)} rows of X hold an infinite number, and were left "
        "out: the device refuses infinity"
    )
    finite = sample.table[~infinite].reset_index(drop=True)
    rows = X.filter(~infinite) if hasattr(X, "get_columns") else X[~infinite]
    return replace(sample, table=finite), rows, (told,)


def _described(estimator: Any) -> str:
    """The estimator as it prints itself, on one line and without addresses."""
    text = re.sub(r"\s+", " ", repr(estimator))
    return re.sub(r" at 0x[0-9a-f]+", "", text)[:2000]
