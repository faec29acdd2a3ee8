"""Compare the expressions of the graph with those of the estimator, output by output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import Schema
from numpy.typing import NDArray

from edge_pipeline.proof.compare_expressions import Bounds
from edge_pipeline.proof.counterexample import Contradicted
from edge_pipeline.proof.expression_ranges import ExpressionRanges
from edge_pipeline.proof.formulas import boosting, linear, preprocessing, trees
from edge_pipeline.proof.formulas.registry import Formulas, expected_result
from edge_pipeline.proof.graph_reader import Graph
from edge_pipeline.proof.scalars import Expr, NotUnderstood

__all__ = ["Proof", "prove"]

_FORMULAS = {
    **trees.FORMULAS,
    **boosting.FORMULAS,
    **preprocessing.FORMULAS,
    **linear.FORMULAS,
}


_SURPRISES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""An unforeseen graph or estimator is not proven; that is no reason to refuse it."""


@dataclass(frozen=True)
class Proof:
    """The evidence for one output, without running the graph on any row.

    Attributes
    ----------
    level, bound, formula
        As in :class:`edge_runtime.bundle.manifest.OutputEvidence`.
    reason
        Why the output is only ``probed``.
    contradicted
        Whether the graph has scikit-learn's formula with another number in it.
    """

    level: str
    bound: float | None = None
    formula: str | None = None
    reason: str = ""
    contradicted: bool = False


def prove(
    graph: bytes,
    estimator: Any,
    schema: Schema,
    outputs: Sequence[Output],
    *,
    dtypes: Sequence[Any] = (),
    missing_markers: Sequence[Any] = (),
) -> Mapping[str, Proof]:
    """Prove that every output is scikit-learn's for every row, as far as the rules reach.

    Parameters
    ----------
    graph
        The ModelProto's bytes, as they are sealed.
    dtypes
        Types of the training columns.  scikit-learn computes in float32 on float32 columns; trees
        alone do so for every type.
    missing_markers
        The missing value of each column, None or NaN.  All are NaN where this is empty.
    """
    try:
        reader = Graph(graph, schema)
    except _SURPRISES as error:
        reason = f"the graph cannot be followed: {type(error).__name__}"
        return {output.name: Proof("probed", reason=reason) for output in outputs}
    formulas = Formulas(_FORMULAS)
    ranges = ExpressionRanges(schema)
    results: dict[str, Any] = {}
    proofs = {}
    for output in outputs:
        try:
            _check_precision(estimator, dtypes)
            if output.method not in results:
                results[output.method] = expected_result(
                    formulas, estimator, output.method, schema, missing_markers
                )
            result = results[output.method]
            expected = result if output.item is None else result[output.item]
            proofs[output.name] = _compare(reader.output(output.name), expected, schema, ranges)
        except NotUnderstood as error:
            proofs[output.name] = Proof("probed", reason=str(error))
        except Contradicted as error:
            proofs[output.name] = Proof("probed", reason=str(error), contradicted=True)
        except _SURPRISES as error:
            # Its message may hold an address, and two builds must write the same bytes.
            reason = f"no rule foresaw it: {type(error).__name__}"
            proofs[output.name] = Proof("probed", reason=reason)
    return proofs


def _check_precision(estimator: Any, dtypes: Sequence[Any]) -> None:
    has_float32 = any(getattr(d, "kind", "") == "f" and d.itemsize < 8 for d in dtypes)
    if has_float32 and type(estimator) not in trees.FORMULAS:
        raise NotUnderstood("columns of single precision, in which scikit-learn computes")


def _compare(
    actual: NDArray[Any], expected: Any, schema: Schema, ranges: ExpressionRanges
) -> Proof:
    """Compare the expressions of one output with those of scikit-learn."""
    columns = [expected] if isinstance(expected, Expr) else expected
    if not isinstance(columns, list) or actual.ndim != (0 if isinstance(expected, Expr) else 1):
        raise NotUnderstood("an answer of another shape")
    if actual.size != len(columns):
        raise NotUnderstood(f"{actual.size} columns where scikit-learn has {len(columns)}")
    bounds = Bounds(schema, ranges)
    differences = [bounds.difference(a, e) for a, e in zip(actual.ravel(), columns, strict=True)]
    bound = float(np.max(differences, initial=0.0))
    is_choice = any(column.op in _CHOICES for column in columns)
    if bounds.has_sums or (bound and is_choice):
        return Proof("bounded", bound, _MARGIN if is_choice else _SUMS)
    if bound:
        names = ", ".join(sorted(bounds.libraries))
        return Proof("proven", bound, f"{_SAME}, then {names}")
    median = any(column.op == "select" for column in columns)
    return Proof("proven", 0.0, _SAME + (_MEDIAN if median else ""))


_SAME = "same operations in the same order"
_MEDIAN = ", where no equal predictions straddle half of the weight"
_CHOICES = frozenset({"take", "where", "argmax", "to int", "to bool"})
_SUMS = "within the columns' ranges; order of sums: Higham 2002, sec. 3.1"
_MARGIN = (
    "the same label where the best scores differ by more; order of sums: Higham 2002, sec. 3.1"
)
