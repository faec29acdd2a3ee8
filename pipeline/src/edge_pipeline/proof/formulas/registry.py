"""Look up the formula of an estimator's method, and express the method by the cells of a row.

A formula is a function ``(formulas, estimator, X) -> result`` for one method of one class.  Each
module lists its formulas in a table ``FORMULAS``; a method in no table raises NotUnderstood.  The
formulas are written from scikit-learn's source, independently of the converter: the proof compares
the two readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from edge_runtime.bundle.schema import MISSING_STRING, NUMBERS, STRINGS, Schema
from numpy.typing import NDArray

from edge_pipeline.proof.expressions import apply, lookup, take
from edge_pipeline.proof.scalars import SELF, Expr, NotUnderstood, make, variable

__all__ = [
    "Formula",
    "Formulas",
    "Result",
    "columns_of",
    "expected_result",
    "is_missing",
    "is_text",
    "label_of_highest",
    "labels_of",
    "looked_up",
]

Result = Any
"""An Expr (one number a row), a list of them (columns), or a tuple of results (targets)."""

_Part = TypeVar("_Part")

Formula = Callable[["Formulas", Any, Sequence[Expr]], Result]


class Formulas:
    """The formulas by class and method; meta-estimators look up those of their parts."""

    def __init__(self, formulas: Mapping[type, Mapping[str, Formula]]) -> None:
        self._formulas = formulas
        self._parts: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def shared(
        self, part: Callable[[Any, Sequence[Expr]], _Part], estimator: Any, X: Sequence[Expr]
    ) -> _Part:
        """Return ``part(estimator, X)``; a part that several methods share is made once."""
        key = (part, id(estimator), *(x.key for x in X))
        if key not in self._parts:
            # The entry keeps the estimator alive, so that its id stays unique.
            self._parts[key] = (estimator, part(estimator, X))
        result: _Part = self._parts[key][1]
        return result

    def result(self, estimator: Any, method: str, X: Sequence[Expr]) -> Result:
        """Return what ``estimator.method`` computes from the expressions *X* of one row.

        Raises
        ------
        NotUnderstood
            The class or its method has no formula.
        """
        formula = self._formulas.get(type(estimator), {}).get(method)
        if formula is None:
            raise NotUnderstood(f"{type(estimator).__name__}.{method} has no formula")
        return formula(self, estimator, X)

    def transform(self, estimator: Any, X: Sequence[Expr]) -> list[Expr]:
        """Return the columns of ``estimator.transform``."""
        return columns_of(self.result(estimator, "transform", X))


def expected_result(
    formulas: Formulas,
    estimator: Any,
    method: str,
    schema: Schema,
    missing_markers: Sequence[Any] = (),
) -> Result:
    """Return what *method* computes from the graph's inputs; *missing_markers* as in ``prove``."""
    if schema.kind == "tensor":
        raise NotUnderstood("tensors, of which no formula is known cell by cell")
    if schema.derived or schema.loose:
        raise NotUnderstood("columns that are counted before the graph sees them")
    return formulas.result(estimator, method, _cells(estimator, schema, missing_markers))


def _cells(estimator: Any, schema: Schema, missing_markers: Sequence[Any]) -> list[Expr]:
    """Return one variable for each column, in the order of training.

    A column that the schema ignores is no variable: no formula may depend on it.
    """
    markers = ["NaN"] * len(schema.columns)
    for i, column in enumerate(schema.columns):
        if not column.missing:
            markers[i] = ""
        elif missing_markers and missing_markers[i] is None:
            markers[i] = "None"
    cells: dict[int, Expr] = {
        column: variable(block, i, textual=block == STRINGS, missing_marker=markers[column])
        for block, columns in ((NUMBERS, schema.numeric), (STRINGS, schema.textual))
        for i, column in enumerate(columns)
    }
    trained = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    names = list(schema.names)
    if schema.kind != "table" or not trained or trained == names:
        return [cells[i] for i in range(len(names))]
    if not set(trained) <= {*names, *schema.ignored}:
        raise NotUnderstood("columns that were not there in training")
    return [
        cells[names.index(name)] if name in names else make("ignored", (), name, name.encode())
        for name in trained
    ]


def columns_of(result: Result) -> list[Expr]:
    """Return *result* as a list of columns."""
    if isinstance(result, Expr):
        return [result]
    if isinstance(result, list):
        return result
    raise NotUnderstood("an answer for several targets in the middle of a pipeline")


def is_missing(value: Any) -> bool:
    """Return whether a category, or ``missing_values`` of an imputer, is a missing value."""
    return value is None or bool(value != value)


def is_text(x: Expr) -> bool:
    """Return whether *x* is text: a cell of the strings, or a table of text."""
    while x.op == "map":
        if x.value.default is not SELF:  # a table of categories may hold numbers
            return isinstance(x.value.default, str)
        x = x.args[0]
    return x.op == "var" and bool(x.value.textual)


def looked_up(x: Expr, categories: Iterable[Any], values: Iterable[Any], default: Any) -> Expr:
    """Return the value of the category that equals *x*, or *default*.

    A missing value is a category too.  scikit-learn distinguishes None from NaN; a column has only
    one of them.
    """
    table: dict[Any, Any] = {}
    for category, value in zip(categories, values, strict=True):
        if not is_missing(category):
            table[str(category) if is_text(x) else float(category)] = value
        elif _missing_marker(x) in ("", "NaN" if category is not None else "None"):
            table[MISSING_STRING if is_text(x) else float("nan")] = value
    return lookup(x, table, default)


def _missing_marker(x: Expr) -> str:
    while x.op == "map" and x.value.default is SELF:
        x = x.args[0]
    return x.value.missing_marker if x.op == "var" else ""


def label_of_highest(labels: Any, scores: Sequence[Expr]) -> Expr:
    """Return the label of the highest score; of equal scores the first counts."""
    return take(labels_of(labels), apply("argmax", *scores))


def labels_of(classes: Any) -> NDArray[Any]:
    """Return class labels as the graph holds them."""
    array = np.asarray(classes)
    return array.astype(object) if array.dtype.kind in "US" else array
