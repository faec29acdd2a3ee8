"""Define the measurements that a build stores beside a sealed file, in ``NAME.report.json``.

pydantic checks every value.  ``Evaluation.read(path)`` returns what ``Evaluation.write`` wrote.
"""

from __future__ import annotations

from pathlib import Path

from edge_runtime.bundle.atomic_file import write_whole
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_pipeline.errors import MeasurementError
from edge_pipeline.short_repr import short_repr

__all__ = [
    "Calibration",
    "CandidateRow",
    "ClassScore",
    "Confusion",
    "Counts",
    "Curve",
    "Dependence",
    "EvaluatedRow",
    "Evaluation",
    "Group",
    "Histogram",
    "Importance",
    "Measurements",
    "Residuals",
    "RowTable",
    "Score",
    "Source",
    "Step",
    "Thresholds",
    "sidecar_of",
]

FORMAT = 1
"""Increases when an older reader would misunderstand the file."""

_VALUE = ConfigDict(extra="forbid", frozen=True)

Floats = tuple[float, ...]


class Source(BaseModel):
    """Origin and number of the rows.

    ``what`` names the thing that ``sha256`` digests: the file, or the rows themselves without one.
    ``tests_training_rows``: the figures come from the table that trained the model.
    """

    model_config = _VALUE

    name: str
    sha256: str
    what: str
    target: str | None = None
    rows_train: int = 0
    rows_test: int = 0
    rows_dropped: int = 0
    rows_refused: int = 0
    tests_training_rows: bool = False


class Score(BaseModel):
    """A metric on the test rows, its 95 % interval with the method, and the baseline's value."""

    model_config = _VALUE

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    method: str = ""
    dummy: float | None = None


class Confusion(BaseModel):
    """``counts[i][j]``: rows of class i predicted as class j."""

    model_config = _VALUE

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class ClassScore(BaseModel):
    """Precision, recall and F1 of one class of one target; None where no row defines them.

    ``rows`` and ``predicted`` count test rows; ``rows_train`` is None where they are unknown.
    """

    model_config = _VALUE

    target: str = ""
    label: str
    rows_train: int | None = None
    rows: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


class Thresholds(BaseModel):
    """The test rows that a threshold predicts as class ``of``, correctly and wrongly.

    ``lowest[i]``: the smallest score that is predicted as ``of`` at the i-th threshold.
    """

    model_config = _VALUE

    of: str
    other_class: str
    score: str
    positives: int
    negatives: int
    lowest: Floats
    true_positives: tuple[int, ...]
    false_positives: tuple[int, ...]


class EvaluatedRow(BaseModel):
    """A test row with its prediction; ``badness`` orders the rows, the worst first."""

    model_config = _VALUE

    row: int
    true: str | None
    predicted: str
    badness: float
    cells: tuple[str, ...]


class RowTable(BaseModel):
    """The worst predictions among the test rows, and the number of all that are wrong.

    ``badness`` names the number that orders the rows.
    """

    model_config = _VALUE

    badness: str
    columns: tuple[str, ...]
    rows: tuple[EvaluatedRow, ...]
    total: int


class Histogram(BaseModel):
    """Rows in each bin of a column: between two ``edges``, or with one of the ``labels``.

    ``of``: the numbers that were counted, where they are not the cells themselves.
    """

    model_config = _VALUE

    column: str
    of: str = ""
    edges: Floats = ()
    labels: tuple[str, ...] = ()
    train: tuple[int, ...]
    test: tuple[int, ...] = ()
    missing_train: int = 0
    missing_test: int = 0


class Dependence(BaseModel):
    """Mean prediction when every row gets the same value in ``column`` (Friedman, 2001).

    ``values`` are numbers, or categories; ``curves`` have one height for each.
    """

    model_config = _VALUE

    column: str
    values: tuple[float, ...] | tuple[str, ...]
    curves: tuple[Curve, ...]


class Step(BaseModel):
    """A fitted estimator, and the estimators inside of it.

    ``kind``: how the inner ones are connected, ``serial`` or ``parallel``.
    """

    model_config = _VALUE

    name: str
    estimator: str
    kind: str = "serial"
    columns: str = ""
    parameters: str = ""
    steps: tuple[Step, ...] = ()


class Calibration(BaseModel):
    """Predicted probability (``said``) and observed share (``came_true``) of equal bins."""

    model_config = _VALUE

    of: str
    said: Floats
    came_true: Floats
    rows: tuple[int, ...]
    error: float


class Curve(BaseModel):
    """A line of a plot: ROC, precision and recall, loss or learning curve; ``area`` if usual."""

    model_config = _VALUE

    name: str
    x: Floats
    y: Floats
    low: Floats = ()
    high: Floats = ()
    area: float | None = None


class Residuals(BaseModel):
    """Quantiles of predicted minus true values of one target, and a sample of the pairs."""

    model_config = _VALUE

    name: str
    true: Floats
    predicted: Floats
    quantiles: dict[str, float]


class Importance(BaseModel):
    """Loss of the first metric when a column is shuffled: mean and spread of the repeats."""

    model_config = _VALUE

    column: str
    mean: float
    std: float


class Group(BaseModel):
    """Error of the model in one group of rows; no interval when the rows are too few."""

    model_config = _VALUE

    column: str
    group: str
    rows: int
    value: float
    low: float | None = None
    high: float | None = None


class Counts(BaseModel):
    """The number of rows for each predicted label."""

    model_config = _VALUE

    labels: tuple[str, ...]
    counts: tuple[int, ...]


class CandidateRow(BaseModel):
    """A candidate of the search: its score in cross-validation, its size and its latency.

    ``front``: no other measured candidate beats it in score, bytes and time at once.
    """

    model_config = _VALUE

    family: str
    parameters: str
    score: float
    spread: float
    model_bytes: int | None = None
    latency_us: float | None = None
    front: bool = False
    chosen: bool = False


class Measurements(BaseModel):
    """A ``BenchResult`` and the machine of the measurement."""

    model_config = _VALUE

    machine: str
    model_bytes: int
    latency_us_p50: float
    latency_us_p99: float
    peak_memory_mb: float
    empty_memory_mb: float
    load_ms: float
    batches: dict[int, dict[str, float]]


@short_repr
class Evaluation(BaseModel):
    """All content of a report that the sealed file itself does not hold.

    Attributes
    ----------
    sha256
        Digest in the seal of the file; the report ignores an evaluation of another file.
    shows_rows
        Whether single rows may be shown.
    notes
        What the export said about the numbers of the model.
    left_out
        Name of a missing section to the reason why it is missing.
    """

    model_config = _VALUE

    format: int = FORMAT
    sha256: str
    date: str | None = None
    description: str | None = None
    source: Source | None = None
    scores: tuple[Score, ...] = ()
    dummy: str | None = None
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    roc: tuple[Curve, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    residuals: tuple[Residuals, ...] = ()
    classes: tuple[ClassScore, ...] = ()
    thresholds: Thresholds | None = None
    rows: RowTable | None = None
    answers: Counts | None = None
    anomaly_scores: Histogram | None = None
    histograms: tuple[Histogram, ...] = ()
    pipeline: Step | None = None
    dependence: tuple[Dependence, ...] = ()
    dependence_of: str | None = None
    importance: tuple[Importance, ...] = ()
    importance_of: str | None = None
    groups: tuple[Group, ...] = ()
    groups_of: str | None = None
    learning: tuple[Curve, ...] = ()
    learning_of: str | None = None
    loss: Curve | None = None
    tried: tuple[CandidateRow, ...] = ()
    tried_of: str | None = None
    tried_folds: int | None = None
    measured: Measurements | None = None
    training_seconds: float | None = None
    warnings: tuple[str, ...] = ()
    shows_rows: bool = True
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = {}

    def write(self, path: Path) -> None:
        """Write the evaluation as JSON, whole or not at all."""
        write_whole(self.model_dump_json(indent=1).encode() + b"\n", path)

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """Read an evaluation that :meth:`write` wrote.

        Raises
        ------
        MeasurementError
            The file holds something else.
        OSError
            The file cannot be read.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first_error = error.errors()[0]
            key = ".".join(map(str, first_error["loc"]))
            raise MeasurementError(
                f"{path}: no evaluation of a build: {key} {first_error['msg']}; "
                "build the model again"
            ) from error


def sidecar_of(path: Path) -> Path:
    """Return the path of the evaluation that belongs to the sealed file at *path*."""
    return path.with_name(f"{path.stem}.report.json")
