"""What a sealed file cannot know of itself: measured at the build, kept beside it as JSON.

Plain values that check themselves; ``Evaluation.read(p)`` gives what ``e.write(p)`` wrote.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

from edge_runtime.bundle.atomic_file import write_whole
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_pipeline.errors import MeasurementError

__all__ = [
    "Calibration",
    "CandidateRow",
    "Confusion",
    "Counts",
    "Curve",
    "Evaluation",
    "Group",
    "Importance",
    "Measurements",
    "ReportTable",
    "Residuals",
    "Score",
    "Source",
    "sidecar_of",
]

FORMAT = 1
"""Grows when an older reader would misunderstand the file."""

_VALUE = ConfigDict(extra="forbid", frozen=True)

Floats = tuple[float, ...]


class ReportTable(BaseModel):
    """``[report]``: what the recipe tells the reader of the report.

    Attributes
    ----------
    date
        Of the training; nothing else in a build knows the clock.
    description
        What the model is for, and what not, in the user's words.
    groups
        Columns whose groups are looked at apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    date: datetime.date | str | None = None
    description: str | None = None
    groups: Annotated[tuple[str, ...], Field(strict=False)] = ()


class Source(BaseModel):
    """The rows: where they came from and how many.

    ``sha256`` is of ``what``: the file, or the rows themselves where there is none.
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


class Score(BaseModel):
    """A metric on the test rows, its 95 % interval and how that came about, and the dummy's."""

    model_config = _VALUE

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    method: str = ""
    dummy: float | None = None


class Confusion(BaseModel):
    """``counts[i][j]``: rows of class i that were taken for class j."""

    model_config = _VALUE

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Calibration(BaseModel):
    """Said probability against what came true, in bins of as many rows each."""

    model_config = _VALUE

    of: str
    said: Floats
    came_true: Floats
    rows: tuple[int, ...]
    error: float


class Curve(BaseModel):
    """A line: ROC, precision against recall, loss, learning; ``area`` where one is usual."""

    model_config = _VALUE

    name: str
    x: Floats
    y: Floats
    low: Floats = ()
    high: Floats = ()
    area: float | None = None


class Residuals(BaseModel):
    """Predicted minus true values of one target, and some of the pairs."""

    model_config = _VALUE

    name: str
    true: Floats
    predicted: Floats
    quantiles: dict[str, float]


class Importance(BaseModel):
    """What the first metric loses when a column is shuffled: mean and spread of the repeats."""

    model_config = _VALUE

    column: str
    mean: float
    std: float


class Group(BaseModel):
    """How often, or how far, the model errs in one group of rows; no interval of a few rows."""

    model_config = _VALUE

    column: str
    group: str
    rows: int
    value: float
    low: float | None = None
    high: float | None = None


class Counts(BaseModel):
    """Answers and how many rows got each."""

    model_config = _VALUE

    labels: tuple[str, ...]
    counts: tuple[int, ...]


class CandidateRow(BaseModel):
    """A candidate of the search: how good in cross-validation, and what it would cost the device.

    ``front``: no other that was measured beats it in score, bytes and time at once.
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
    """A ``BenchResult`` and the machine that it was measured on."""

    model_config = _VALUE

    machine: str
    model_bytes: int
    latency_us_p50: float
    latency_us_p99: float
    peak_memory_mb: float
    empty_memory_mb: float
    load_ms: float
    batches: dict[int, dict[str, float]]


class Evaluation(BaseModel):
    """Everything of a report that is not in the sealed file itself.

    Attributes
    ----------
    sha256
        Of the sealed file, as in its seal: an evaluation of another file is not shown.
    left_out
        Part of the report to the reason why it is not there.
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
    answers: Counts | None = None
    importance: tuple[Importance, ...] = ()
    importance_of: str | None = None
    groups: tuple[Group, ...] = ()
    groups_of: str | None = None
    learning: tuple[Curve, ...] = ()
    learning_of: str | None = None
    loss: Curve | None = None
    tried: tuple[CandidateRow, ...] = ()
    tried_of: str | None = None
    measured: Measurements | None = None
    training_seconds: float | None = None
    warnings: tuple[str, ...] = ()
    left_out: dict[str, str] = {}

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_whole(self.model_dump_json(indent=1).encode() + b"\n", path)

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """Read what :meth:`write` wrote.

        Raises
        ------
        MeasurementError
            It is something else.
        OSError
            It cannot be read.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"]))
            raise MeasurementError(
                f"{path}: no evaluation of a build: {place} {fault['msg']}; build the model again"
            ) from error


def sidecar_of(path: Path) -> Path:
    """Where the evaluation of the sealed file at *path* is kept."""
    return path.with_name(f"{path.stem}.report.json")
