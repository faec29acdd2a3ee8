"""``prove``: compare the graph's expressions with the estimator's, output by output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import Output
from edge_runtime.bundle.schema import Schema

from edge_pipeline.proof.bounds import Bounds
from edge_pipeline.proof.counterexample import Contradicted
from edge_pipeline.proof.formulas import boosting, linear, preprocessing, trees
from edge_pipeline.proof.formulas.estimators import Oracle, expected
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
"""A graph or an estimator unlike any foreseen is not proven; it is no reason to refuse it."""


@dataclass(frozen=True)
class Proof:
    """What is known of one output before any row is asked.

    Attributes
    ----------
    level, bound, formula
        As in :class:`edge_runtime.bundle.manifest.OutputEvidence`.
    reason
        Of ``probed``: what could not be followed.
    contradicted
        The graph has scikit-learn's formula with another number in it.
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
    gaps: Sequence[Any] = (),
) -> Mapping[str, Proof]:
    """What can be said of every output for every input.

    Parameters
    ----------
    graph
        The ModelProto's bytes, as they are sealed.
    dtypes
        Those that the estimator was trained on: of float32 columns scikit-learn computes in
        float32, which only trees do in any case.
    gaps
        What stands for a missing value in each column that has some; NaN where this is left out.
    """
    try:
        read = Graph(graph, schema)
    except _SURPRISES as error:
        reason = f"the graph cannot be followed: {type(error).__name__}"
        return {output.name: Proof("probed", reason=reason) for output in outputs}
    oracle = Oracle(_FORMULAS)
    told: dict[str, Any] = {}
    proofs = {}
    for output in outputs:
        try:
            _check_precision(estimator, dtypes)
            if output.method not in told:
                told[output.method] = expected(oracle, estimator, output.method, schema, gaps)
            wanted = told[output.method]
            wanted = wanted if output.item is None else wanted[output.item]
            proofs[output.name] = _proof(read.output(output.name), wanted, schema)
        except NotUnderstood as why:
            proofs[output.name] = Proof("probed", reason=str(why))
        except Contradicted as why:
            proofs[output.name] = Proof("probed", reason=str(why), contradicted=True)
        except _SURPRISES as error:
            # Without the error's own words, which may hold an address: a file's bytes repeat.
            reason = f"no rule foresaw it: {type(error).__name__}"
            proofs[output.name] = Proof("probed", reason=reason)
    return proofs


def _check_precision(estimator: Any, dtypes: Sequence[Any]) -> None:
    narrow = any(getattr(d, "kind", "") == "f" and d.itemsize < 8 for d in dtypes)
    if narrow and type(estimator) not in trees.FORMULAS:
        raise NotUnderstood("columns of single precision, in which scikit-learn computes")


def _proof(items: Any, wanted: Any, schema: Schema) -> Proof:
    columns = [wanted] if isinstance(wanted, Expr) else wanted
    if not isinstance(columns, list) or items.ndim != (0 if isinstance(wanted, Expr) else 1):
        raise NotUnderstood("an answer of another shape")
    if items.size != len(columns):
        raise NotUnderstood(f"{items.size} columns where scikit-learn has {len(columns)}")
    bounds = Bounds(schema)
    gaps = [bounds.difference(f, e) for f, e in zip(items.ravel(), columns, strict=True)]
    bound = float(np.max(gaps, initial=0.0))
    is_choice = any(column.op in _CHOICES for column in columns)
    if bounds.sums or (bound and is_choice):
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
