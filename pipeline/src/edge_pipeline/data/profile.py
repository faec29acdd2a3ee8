"""Profile a table before training: types, missing values, columns to exclude, the likely task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.data.csv import Layout
from edge_pipeline.data.dataset import is_dates
from edge_pipeline.data.excluded_columns import (
    IDENTIFIES,
    MAX_DISTINCT_SHARE,
    exclude_leaks,
    reason_to_exclude,
)
from edge_pipeline.data.imports import join_names, missing_column
from edge_pipeline.data.layout_notes import layout_notes
from edge_pipeline.data.sources import TableSource, read_source
from edge_pipeline.data.tables import infer_type
from edge_pipeline.errors import DatasetError
from edge_pipeline.short_repr import short_repr

__all__ = ["ColumnDescription", "TableDescription", "describe_table"]

MAX_LABELS = 10
"""A target with at most so many different integers holds labels."""

MANY_LABELS, MIN_ROWS_PER_LABEL = 100, 5
"""Above so many labels, each needs so many rows on average."""

MIN_GROUPS, MIN_ROWS_PER_GROUP = 20, 2
"""Fewer groups of each label, or fewer rows in them on average, do not decide the split."""

RARE_LABEL_SHARE = 0.1
"""Classes are unbalanced when the rarest label has a smaller share of the rows."""


@short_repr
@dataclass(frozen=True)
class ColumnDescription:
    """The profile of one column.

    Attributes
    ----------
    name, kind
        The column's name, and its type: float64, int64, bool, string, or the name of another.
    missing, distinct
        Number of missing values, and of different values.
    examples
        A few values as text, the most frequent first.
    left_out
        The reason to exclude the column; empty when the model should learn from it.
    notes
        Remarks for the user.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    examples: tuple[str, ...]
    left_out: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableDescription:
    """The profile of a table, with its target and its task.

    Attributes
    ----------
    source
        The name of the file, frame or data set.
    rows
        Number of rows.
    columns
        The columns in table order, targets included.
    targets, task
        The target columns, and the task: the caller's, or a guess.
    balance
        Label to its number of rows, the most frequent first, when the task is classification.
    notes
        Remarks about the whole table.
    layout
        The format of a CSV file.
    groups
        The column whose rows should stay together, in training or test; empty for none.
    """

    source: str
    rows: int
    columns: tuple[ColumnDescription, ...]
    targets: tuple[str, ...]
    task: str
    balance: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    layout: Layout | None = None
    groups: str = ""

    def __repr__(self) -> str:
        target = f", target {', '.join(self.targets)}" if self.targets else ""
        return (
            f"<TableDescription {self.source!r:.80}: {self.rows:,} rows, {len(self.columns)} "
            f"columns, {self.task}{target:.80}>"
        )

    def _repr_html_(self) -> str:
        """Show the columns in a notebook."""
        from edge_pipeline.data.profile_table import as_html

        return as_html(self)

    @property
    def features(self) -> tuple[ColumnDescription, ...]:
        """The columns to learn from."""
        return tuple(c for c in self.columns if not c.left_out and c.name not in self.targets)

    @property
    def is_unbalanced(self) -> bool:
        """Whether a model that ignores the rarest label would still have a high accuracy."""
        total = sum(self.balance.values())
        return len(self.balance) > 1 and min(self.balance.values()) < RARE_LABEL_SHARE * total

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "source": self.source,
            "rows": self.rows,
            "task": self.task,
            "targets": list(self.targets),
            "balance": dict(self.balance),
            "groups": self.groups,
            "notes": list(self.notes),
            "columns": [
                {**vars(column), "examples": list(column.examples), "notes": list(column.notes)}
                for column in self.columns
            ],
        }


def describe_table(
    table: Any,
    *,
    target: str | Sequence[str] | None = None,
    task: str | None = None,
    sheet: str | None = None,
    query: str | None = None,
) -> TableDescription:
    """Profile a table before training.

    Parameters
    ----------
    table
        A file, a frame of pandas or polars, or an Arrow table.  Or the URL of a database, or the
        name of a data set that scikit-learn ships.
    target
        The target column, or several.
    task
        ``classification``, ``regression``, ``clustering``, ``anomaly`` or ``transform``; guessed
        from the target when None.
    sheet
        The sheet of a workbook with several.
    query
        The SQL query whose rows are the table, where *table* is the URL of a database.

    Raises
    ------
    DatasetError
        The table cannot be read, lacks a column, or there is neither a target nor a task.
    OSError
        The file cannot be read.
    """
    return describe_source(read_source(table, sheet=sheet, query=query), target, task)


def describe_source(
    source: TableSource, target: str | Sequence[str] | None, task: str | None
) -> TableDescription:
    """Profile a table that was read already, as :func:`describe_table` does."""
    frame = source.frame
    targets = _targets(source, target, task)
    columns = [_describe_column(frame[name]) for name in frame.columns]
    rows = frame
    if targets:
        rows = frame[frame[list(targets)].notna().all(axis="columns")]
        if not len(rows):
            raise DatasetError(f"{source.name}: no row has a value of {join_names(targets)}")
        task = task or _guess_task(source, rows, targets)
    task = str(task)
    text_targets = [c.name for c in columns if c.name in targets and c.kind in ("string", "dates")]
    if task == "regression" and text_targets:
        raise DatasetError(
            f"{source.name}: the target {text_targets[0]!r} holds no numbers, which task "
            "'regression' learns; leave the task out, or name another column"
        )
    _check_labels(source.name, rows, targets, task)
    if targets:
        columns = exclude_leaks(columns, rows, targets, task)
    description = TableDescription(
        source.name,
        len(frame),
        tuple(columns),
        targets,
        task,
        _label_counts(rows, targets, task),
        layout=source.layout,
        groups=_group_column(columns, rows, targets, task),
    )
    if not description.features:
        reasons = [f"{c.name}: {c.left_out}" for c in columns if c.left_out]
        raise DatasetError(
            f"{source.name}: no column is left to learn from; "
            f"{join_names(reasons) or 'there is none'}"
        )
    return replace(description, notes=tuple(_notes(description, len(frame) - len(rows))))


def _targets(
    source: TableSource, target: str | Sequence[str] | None, task: str | None
) -> tuple[str, ...]:
    """Check the caller's target columns, or take those that came with the table."""
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    targets = targets or source.targets
    columns = [str(name) for name in source.frame.columns]
    for name in targets:
        if name not in columns:
            raise DatasetError(missing_column(source.name, name, columns))
    is_unsupervised = task in ("clustering", "anomaly", "transform")
    if targets and is_unsupervised:
        raise DatasetError(f"task {task!r} learns no target; leave {join_names(targets)} out")
    if not targets and not is_unsupervised:
        raise DatasetError(
            f"{source.name}: nothing says what to learn; name the target's column (--target "
            "COLUMN, target=), or a task without one (--task clustering, anomaly or transform); "
            f"the columns are {join_names(columns)}"
        )
    return targets


def _describe_column(column: pd.Series[Any]) -> ColumnDescription:
    """Profile a column by itself."""
    values = column.dropna()
    counts = values.map(str).value_counts()
    examples = tuple(str(word)[:40] for word in counts.index[:3])
    name, missing, distinct = str(column.name), int(column.isna().sum()), len(counts)
    description = ColumnDescription(name, "", missing, distinct, examples)
    if not len(values):
        return replace(description, kind="empty", left_out="has no value")
    try:
        type_name = infer_type(column)
    except ValueError as error:
        return replace(description, kind=str(column.dtype), left_out=str(error).partition(";")[0])
    if type_name == "string" and is_dates(column):
        reason = f"holds dates such as {examples[0]!r}; say in [reading.columns] how to read them"
        return replace(description, kind="dates", left_out=reason)
    return replace(
        description,
        kind=type_name,
        left_out=reason_to_exclude(column, type_name, distinct),
        notes=_column_notes(description, len(column)),
    )


def _group_column(
    columns: Sequence[ColumnDescription], rows: pd.DataFrame, targets: tuple[str, ...], task: str
) -> str:
    """Return the column whose rows are about the same things, where training can divide them.

    A model that saw a patient's other rows would seem better on the test rows than it is.
    """
    for column in columns:
        if not column.left_out.startswith(IDENTIFIES) or column.missing:
            continue
        values = rows[column.name]
        if len(rows) < MIN_ROWS_PER_GROUP * values.nunique() or values.nunique() < MIN_GROUPS:
            continue
        labels = targets if task == "classification" else ()
        if all(values.groupby(rows[name]).nunique().min() >= MIN_GROUPS for name in labels):
            return column.name
    return ""


def _column_notes(column: ColumnDescription, rows: int) -> tuple[str, ...]:
    if column.missing > rows / 2:
        return (f"{column.missing / rows:.0%} of its values are missing",)
    return ()


def _guess_task(source: TableSource, rows: pd.DataFrame, targets: tuple[str, ...]) -> str:
    """Guess classification or regression from the target's values."""
    contents = set()
    for name in targets:
        try:
            type_name = infer_type(rows[name])
        except ValueError as error:
            raise DatasetError(f"{source.name}: column {name!r} {error}") from error
        if type_name == "datetime":
            raise DatasetError(
                f"{source.name}: the target {name!r} holds dates, which no model learns; put a "
                "number into the table, such as the days until then"
            )
        distinct = rows[name].nunique()
        if type_name == "string" and distinct > max(MAX_LABELS, MAX_DISTINCT_SHARE * len(rows)):
            raise DatasetError(
                f"{source.name}: the target {name!r} has {distinct} different texts in "
                f"{len(rows)} rows; labels occur again and again; name another column"
            )
        has_few = distinct <= (2 if len(targets) > 1 else MAX_LABELS)
        is_whole = type_name == "bool" or (type_name != "string" and _is_whole(rows[name]))
        is_label = type_name == "string" or (is_whole and has_few)
        contents.add("labels" if is_label else "numbers")
    return "classification" if contents == {"labels"} else "regression"


def _check_labels(source: str, rows: pd.DataFrame, targets: tuple[str, ...], task: str) -> None:
    """Refuse labels that no classifier can learn, before a recipe is written."""
    if task != "classification" or len(targets) != 1:
        return
    name, n_labels = targets[0], rows[targets[0]].nunique()
    if n_labels == 1:
        raise DatasetError(
            f"{source}: every row has the label {str(rows[name].iloc[0])!r} in {name!r}; expected "
            'two labels or more; name another column, or use task = "anomaly"'
        )
    if n_labels > MANY_LABELS and len(rows) < MIN_ROWS_PER_LABEL * n_labels:
        raise DatasetError(
            f"{source}: the target {name!r} has {n_labels} labels in {len(rows)} rows, too few "
            'rows of each to learn; if it holds numbers, say task = "regression"; otherwise join '
            "rare labels, or name another column"
        )


def _is_whole(column: pd.Series[Any]) -> bool:
    values = column.to_numpy(dtype=np.float64)
    return bool(np.array_equal(values, np.trunc(values)))


def _label_counts(rows: pd.DataFrame, targets: tuple[str, ...], task: str) -> dict[str, int]:
    if task != "classification" or len(targets) != 1:
        return {}
    counts = rows[targets[0]].map(str).value_counts()
    return {str(label): int(count) for label, count in counts.items()}


def _notes(description: TableDescription, without_target: int) -> list[str]:
    notes = []
    if without_target:
        notes.append(f"{without_target} rows have no target, and are left out")
    if description.is_unbalanced:
        label, count = min(description.balance.items(), key=lambda item: item[1])
        notes.append(
            f"{label!r} is rare: {count} of {sum(description.balance.values())} rows; "
            "balanced_accuracy counts every label alike"
        )
    if description.rows < 100:
        notes.append(f"{description.rows} rows are few: scores are uncertain")
    return notes + ([] if description.layout is None else layout_notes(description.layout))
