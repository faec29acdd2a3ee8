"""A table in, what there is to know before training out; nothing is written.

Every finding says what it was found from, and what follows from it for the recipe.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from edge_pipeline.data.csv import Layout
from edge_pipeline.data.dataset import is_dates
from edge_pipeline.data.imports import did_you_mean, join_names
from edge_pipeline.data.sources import Source, read_source
from edge_pipeline.data.tables import infer_type, plain_columns
from edge_pipeline.errors import DatasetError

__all__ = ["ColumnDescription", "TableDescription", "describe_table"]

MAX_LABELS = 10
"""Different whole numbers up to which a target is taken for labels."""

MAX_DISTINCT_SHARE = 0.5
"""Share of different texts among the rows from which a column names rows rather than kinds."""

RARE_LABEL_SHARE = 0.1
"""Share of the rarest label below which classes count as out of balance."""

LEAK_SCORE = 0.999
"""Score of a small tree on one column alone from which that column gives the answer away."""

LEAK_ROWS = 2000
"""Rows on which that tree is tried."""

_ID_NAME = re.compile(r"(^|[_\W])(id|uuid|guid|index|rowid|rownum|row|key)$|(?<=[a-z])I[Dd]$", re.I)


@dataclass(frozen=True)
class ColumnDescription:
    """One column.

    Attributes
    ----------
    name, kind
        Its name, and its type: float64, int64, bool, string, or what it holds instead.
    missing, distinct
        Cells without a value, and different values.
    examples
        A few values as text, the most frequent first.
    left_out
        Why a model should not learn from it; empty when it should.
    notes
        What else is worth knowing.
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
    """What a table holds, and the model that it suggests.

    Attributes
    ----------
    source
        The file's name, or what else the rows came from.
    rows
        How many there are.
    columns
        In the table's order, the target among them.
    targets, task
        What is to be learnt, as given or as guessed.
    balance
        Label to its rows, the most frequent first, when the task is classification.
    notes
        About the whole.
    layout
        How the file is written, when it is CSV.
    """

    source: str
    rows: int
    columns: tuple[ColumnDescription, ...]
    targets: tuple[str, ...]
    task: str
    balance: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    layout: Layout | None = None

    @property
    def features(self) -> tuple[ColumnDescription, ...]:
        """The columns to learn from."""
        return tuple(c for c in self.columns if not c.left_out and c.name not in self.targets)

    @property
    def is_unbalanced(self) -> bool:
        """Whether accuracy would flatter a model that ignores the rarest label."""
        total = sum(self.balance.values())
        return len(self.balance) > 1 and min(self.balance.values()) < RARE_LABEL_SHARE * total

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "source": self.source,
            "rows": self.rows,
            "task": self.task,
            "targets": list(self.targets),
            "balance": dict(self.balance),
            "notes": list(self.notes),
            "columns": [
                {**vars(column), "examples": list(column.examples), "notes": list(column.notes)}
                for column in self.columns
            ],
        }


def describe_table(
    table: Any, *, target: str | Sequence[str] | None = None, task: str | None = None
) -> TableDescription:
    """Look at a table before training.

    Parameters
    ----------
    table
        A file, a frame of pandas or polars, an Arrow table, or the name of a data set that
        scikit-learn ships.
    target
        The column to learn, or several.
    task
        ``classification``, ``regression``, ``clustering``, ``anomaly`` or ``transform``; guessed
        from the target when None.

    Raises
    ------
    DatasetError
        The table cannot be read, has no such column, or nothing says what is to be learnt.
    OSError
        The file cannot be read.
    """
    return describe_source(read_source(table), target, task)


def describe_source(
    source: Source, target: str | Sequence[str] | None, task: str | None
) -> TableDescription:
    """As :func:`describe_table`, of a source that was read already."""
    frame = source.frame
    targets = _targets(source, target, task)
    columns = [_column(frame[name]) for name in frame.columns]
    rows = frame
    if targets:
        rows = frame[frame[list(targets)].notna().all(axis="columns")]
        if not len(rows):
            raise DatasetError(f"{source.name}: no row has a value of {join_names(targets)}")
        task = task or _task(source, rows, targets)
    task = str(task)
    words = [c.name for c in columns if c.name in targets and c.kind in ("string", "dates")]
    if task == "regression" and words:
        raise DatasetError(
            f"{source.name}: the target {words[0]!r} holds no numbers, which task 'regression' "
            "learns; leave the task out, or name another column"
        )
    if targets:
        columns = _exclude_leaks(columns, rows, targets, task)
    balance = _balance(rows, targets, task)
    description = TableDescription(
        source.name, len(frame), tuple(columns), targets, task, balance, (), source.layout
    )
    if not description.features:
        reasons = [f"{c.name}: {c.left_out}" for c in columns if c.left_out]
        raise DatasetError(
            f"{source.name}: no column is left to learn from; "
            f"{join_names(reasons) or 'there is none'}"
        )
    return replace(description, notes=tuple(_notes(description, len(frame) - len(rows))))


def _targets(
    source: Source, target: str | Sequence[str] | None, task: str | None
) -> tuple[str, ...]:
    given = (target,) if isinstance(target, str) else tuple(target or ())
    given = given or source.targets
    there = [str(name) for name in source.frame.columns]
    for name in given:
        if name not in there:
            raise DatasetError(
                f"{source.name} has no column {name!r}{did_you_mean(name, there)}"
                f"; it has {join_names(there)}"
            )
    if given and task in ("clustering", "anomaly", "transform"):
        raise DatasetError(f"task {task!r} learns no target; leave {join_names(given)} out")
    if not given and task not in ("clustering", "anomaly", "transform"):
        raise DatasetError(
            f"{source.name}: nothing says what is to be learnt; name the target's column, or a "
            "task without one: clustering, anomaly or transform; the columns are "
            f"{join_names(there)}"
        )
    return given


def _column(column: pd.Series[Any]) -> ColumnDescription:
    """What there is to say of a column by itself."""
    known = column.dropna()
    counts = known.map(str).value_counts()
    examples = tuple(str(word)[:40] for word in counts.index[:3])
    name, missing, distinct = str(column.name), int(column.isna().sum()), len(counts)
    plain = ColumnDescription(name, "", missing, distinct, examples)
    if not len(known):
        return replace(plain, kind="empty", left_out="has no value")
    try:
        kind = infer_type(column)
    except ValueError as error:
        held = "dates" if "holds dates" in str(error) else str(column.dtype)
        return replace(plain, kind=held, left_out=str(error).partition(";")[0])
    if kind == "string" and is_dates(column):
        return replace(plain, kind="dates", left_out=f"holds dates such as {examples[0]!r}")
    return replace(
        plain,
        kind=kind,
        left_out=_reason_to_leave_out(column, kind, distinct),
        notes=_column_notes(plain, len(column)),
    )


def _reason_to_leave_out(column: pd.Series[Any], kind: str, distinct: int) -> str:
    """Why a column of a plain type is not worth learning from, or nothing."""
    rows, known = len(column), column.dropna()
    if distinct == 1 and len(known) == rows:
        return "has one value only"
    name = str(column.name)
    every = distinct == len(known)
    if kind in ("int64", "float64") and every and rows >= 10:
        values = np.sort(known.to_numpy(dtype=np.float64))
        whole = np.array_equal(values, np.trunc(values))
        if whole and len(values) == rows and values[-1] - values[0] == rows - 1:
            return "numbers the rows"
        if whole and _ID_NAME.search(name):
            return "identifies the rows"
    if kind == "string" and rows >= 10:
        if every and len(known) > 1:
            return "is different in every row"
        if distinct > max(20, MAX_DISTINCT_SHARE * len(known)):
            words = known.map(lambda text: len(str(text).split())).mean()
            held = "free texts" if words > 4 else "names"
            return f"holds {distinct} {held} for {len(known)} rows"
    if _ID_NAME.search(name) and kind != "float64" and distinct > 20:
        return "identifies something by its name; split.groups keeps its rows together"
    return ""


def _column_notes(column: ColumnDescription, rows: int) -> tuple[str, ...]:
    if column.missing > rows / 2:
        return (f"{column.missing / rows:.0%} of its values are missing",)
    return ()


def _task(source: Source, rows: pd.DataFrame, targets: tuple[str, ...]) -> str:
    """Labels or numbers, by the target's values."""
    kinds = set()
    for name in targets:
        try:
            kind = infer_type(rows[name])
        except ValueError as error:
            raise DatasetError(f"{source.name}: column {name!r} {error}") from error
        distinct = rows[name].nunique()
        if kind == "string" and distinct > max(MAX_LABELS, MAX_DISTINCT_SHARE * len(rows)):
            raise DatasetError(
                f"{source.name}: the target {name!r} has {distinct} different texts in "
                f"{len(rows)} rows; labels occur again and again; name another column"
            )
        few = distinct <= (2 if len(targets) > 1 else MAX_LABELS)
        whole = kind == "bool" or (kind != "string" and _whole(rows[name]))
        kinds.add("labels" if kind == "string" or (whole and few) else "numbers")
    return "classification" if kinds == {"labels"} else "regression"


def _whole(column: pd.Series[Any]) -> bool:
    values = column.to_numpy(dtype=np.float64)
    return bool(np.array_equal(values, np.trunc(values)))


def _balance(rows: pd.DataFrame, targets: tuple[str, ...], task: str) -> dict[str, int]:
    if task != "classification" or len(targets) != 1:
        return {}
    counts = rows[targets[0]].map(str).value_counts()
    return {str(label): int(count) for label, count in counts.items()}


def _exclude_leaks(
    columns: list[ColumnDescription], rows: pd.DataFrame, targets: tuple[str, ...], task: str
) -> list[ColumnDescription]:
    """Leave out each column that by itself answers the question."""
    seen = rows.sample(min(len(rows), LEAK_ROWS), random_state=0)
    checked = []
    for column in columns:
        if not column.left_out and column.name not in targets:
            scores = [
                _single_column_score(seen[column.name], seen[target], task) for target in targets
            ]
            if scores and min(scores) >= LEAK_SCORE:
                column = replace(
                    column,
                    left_out="gives the answer away: alone it scores "
                    f"{min(scores):.3f}; put it back if it is known before the answer is",
                )
        checked.append(column)
    if not any(not c.left_out and c.name not in targets for c in checked):
        return columns
    return checked


def _single_column_score(column: pd.Series[Any], target: pd.Series[Any], task: str) -> float:
    """How well a small tree on one column does on rows that it did not see, above guessing."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if len(column) < 30 or target.nunique() < 2:
        return 0.0
    plain = plain_columns(column.to_frame(), {}, "").iloc[:, 0]
    X = pd.factorize(plain)[0] if plain.dtype == object else plain.to_numpy(dtype=np.float64)
    if task == "classification":
        y: Any = pd.factorize(target)[0]
        if max(np.bincount(y)) > 0.95 * len(y):
            return 0.0
        tree: Any = DecisionTreeClassifier(max_leaf_nodes=max(8, 2 * len(set(y))), random_state=0)
    else:
        y = target.to_numpy(dtype=np.float64)
        tree = DecisionTreeRegressor(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folds = KFold(3, shuffle=True, random_state=0)
        score = cross_val_score(tree, X.reshape(-1, 1), y, cv=folds).mean()
    return float(score) if math.isfinite(score) else 0.0


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
    layout = description.layout
    if layout is not None:
        told = [
            f"{key} = {value!r}"
            for key, value, usual in (
                ("separator", layout.separator, ","),
                ("decimal", layout.decimal, "."),
                ("thousands", layout.thousands, None),
                ("encoding", layout.encoding, "utf-8"),
                ("row_index", layout.row_index, False),
            )
            if value != usual
        ]
        if told:
            notes.append(f"the file is written with {', '.join(told)}")
    return notes
