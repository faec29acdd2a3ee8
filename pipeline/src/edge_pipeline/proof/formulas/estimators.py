"""What a fitted estimator computes, as expressions: read off it and off scikit-learn's code.

Written without a look at the converter: two readings of scikit-learn that agree are the point.  A
formula is a function ``(oracle, estimator, X) -> answer`` for one method of one class, in a table
``FORMULAS`` of its module; what no table has raises NotUnderstood, and is probed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Schema
from numpy.typing import NDArray

from edge_pipeline.proof.expressions import apply, lookup, take
from edge_pipeline.proof.scalars import SELF, Expr, NotUnderstood, variable

__all__ = [
    "Answer",
    "Formula",
    "Oracle",
    "chosen",
    "columns_of",
    "expected",
    "is_gap",
    "is_text",
    "labels_of",
    "looked_up",
]

Answer = Any
"""An Expr (one number a row), a list of them (columns), or a tuple of answers (several targets)."""

Formula = Callable[["Oracle", Any, Sequence[Expr]], Answer]


class Oracle:
    """Asks estimators for formulas, and the estimators that they are made of."""

    def __init__(self, formulas: Mapping[type, Mapping[str, Formula]]) -> None:
        self._formulas = formulas

    def answer(self, estimator: Any, method: str, X: Sequence[Expr]) -> Answer:
        """What ``estimator.method`` computes of one row.

        Raises
        ------
        NotUnderstood
            Nothing here knows.
        """
        formula = self._formulas.get(type(estimator), {}).get(method)
        if formula is None:
            raise NotUnderstood(f"{type(estimator).__name__}.{method} has no formula")
        return formula(self, estimator, X)

    def transformed(self, estimator: Any, X: Sequence[Expr]) -> list[Expr]:
        """The columns that ``estimator.transform`` makes."""
        return columns_of(self.answer(estimator, "transform", X))


def expected(
    oracle: Oracle, estimator: Any, method: str, schema: Schema, gaps: Sequence[Any] = ()
) -> Answer:
    """What *method* computes of the graph's inputs; *gaps* as in :func:`prove`."""
    if schema.derived or schema.loose:
        raise NotUnderstood("columns that are counted before the graph sees them")
    return oracle.answer(estimator, method, _cells(estimator, schema, gaps))


def _cells(estimator: Any, schema: Schema, gaps: Sequence[Any]) -> list[Expr]:
    """The columns in the order of training."""
    kinds = [
        "" if not column.missing else "None" if gaps and gaps[i] is None else "NaN"
        for i, column in enumerate(schema.columns)
    ]
    cells: dict[int, Expr] = {
        at: variable(block, i, textual=block == STRINGS, gap=kinds[at])
        for block, places in ((NUMBERS, schema.numeric), (STRINGS, schema.textual))
        for i, at in enumerate(places)
    }
    order = list(range(len(schema.columns)))
    trained = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    names = list(schema.names)
    if schema.kind == "table" and trained and trained != names:
        if not set(trained) <= set(names):
            raise NotUnderstood("columns that were not there in training")
        order = [names.index(name) for name in trained]
    return [cells[i] for i in order]


def columns_of(answer: Answer) -> list[Expr]:
    """*answer* as columns."""
    if isinstance(answer, Expr):
        return [answer]
    if isinstance(answer, list):
        return answer
    raise NotUnderstood("an answer for several targets in the middle of a pipeline")


def is_gap(value: Any) -> bool:
    """Whether a category or a mark of absence stands for no value."""
    return value is None or bool(value != value)


def is_text(x: Expr) -> bool:
    """Whether *x* is a text: a cell of the strings, or what such a cell was mapped to."""
    while x.op == "map":
        if x.value.default is not SELF:  # what a text was mapped to may be a number
            return isinstance(x.value.default, str)
        x = x.args[0]
    return x.op == "var" and bool(x.value.textual)


def looked_up(x: Expr, categories: Iterable[Any], values: Iterable[Any], default: Any) -> Expr:
    """The value that goes with the category, or mark of absence, that *x* is; else *default*.

    To scikit-learn None and NaN are two values, and the gaps of a column are of one kind.
    """
    table: dict[Any, Any] = {}
    for category, value in zip(categories, values, strict=True):
        if not is_gap(category):
            table[str(category) if is_text(x) else float(category)] = value
        elif _gap_of(x) in ("", "NaN" if category is not None else "None"):
            table[MISSING_STRING if is_text(x) else float("nan")] = value
    return lookup(x, table, default)


def _gap_of(x: Expr) -> str:
    while x.op == "map" and x.value.default is SELF:
        x = x.args[0]
    return x.value.gap if x.op == "var" else ""


def chosen(labels: Any, scores: Sequence[Expr]) -> Expr:
    """The label of the highest score, the first of equals."""
    return take(labels_of(labels), apply("argmax", *scores))


def labels_of(classes: Any) -> NDArray[Any]:
    """Class labels as the graph holds them."""
    array = np.asarray(classes)
    return array.astype(object) if array.dtype.kind in "US" else array
