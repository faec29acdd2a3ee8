"""Verify a converted model: prove it, and compare it with scikit-learn on rows that could differ.

Only :func:`verify_model` makes a :class:`VerifiedModel`, and only a VerifiedModel can be sealed.
The graph runs in edge_runtime, as it does on a device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd
from edge_runtime.bundle.manifest import GoldenRows, OutputEvidence, Parity
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.model import Model

from edge_pipeline.conversion.convert import OnnxModel
from edge_pipeline.conversion.estimator_methods import OPTIONAL_METHODS
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import ParityError, UnsupportedEstimatorError
from edge_pipeline.proof.prove import Proof, prove
from edge_pipeline.short_repr import short_repr
from edge_pipeline.verification.ambiguous_rows import (
    ALL_AMBIGUOUS,
    ALL_AMBIGUOUS_NOTE,
    ALL_AMBIGUOUS_TOLERANCE,
    ambiguous_share_note,
    reproducible_rows,
)
from edge_pipeline.verification.freed_memory import return_freed_memory
from edge_pipeline.verification.golden import choose_golden_rows, golden_rows_to_json
from edge_pipeline.verification.neighbor_ties import POSITIONS
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.parity import ParityCheck, ProbedRows
from edge_pipeline.verification.predict_probes import (
    PROBE_SECONDS,
    ProbePredictions,
    predict_probes,
)
from edge_pipeline.verification.probes.groups import (
    ALL_PROBES,
    FEW_PROBES,
    ProbeGroup,
    close_columns,
    probe_groups,
)
from edge_pipeline.verification.unverified_manifest import EXACT, unverified_manifest

__all__ = ["EXACT", "NO_REFUSED_ROWS", "RefusedRows", "VerifiedModel", "verify_model"]

EXACT_IN_FLOAT32 = 1e-6
"""Tolerance where the estimator itself predicts in float32 and its exp, log or order of adding is
not ours: its numbers are rounded to 6e-8.  XGBoost on glibc and musl does not need it."""

MAX_REASON_LENGTH = 200
"""Characters of the reason why an output is not proven that the manifest keeps."""

LEFT_OUT_NOTE = (
    "scikit-learn is slow here: {rows:,} probe rows were left out to stay within {probe_seconds:g} "
    "s; a larger probe_seconds compares more"
)

LARGE_GRAPH_BYTES = 1 << 20
"""Size of a graph, about 50,000 nodes of trees, from which a proof replaces most of the rows."""


class RefusedRows(NamedTuple):
    """The number of rows that scikit-learn refuses, and how many of them the device predicts."""

    rows: int
    predicted: int


NO_REFUSED_ROWS = RefusedRows(0, 0)


@short_repr
@dataclass(frozen=True, eq=False)
class VerifiedModel:
    """A graph that was compared with its estimator; :func:`verify_model` alone makes one.

    Attributes
    ----------
    model
        The graph; its schema now lists the categories that the estimator refuses.
    parity
        The rows compared and the largest differences.
    golden
        Rows with scikit-learn's predictions.
    notes
        Notes for the user: rows that could not be compared, a proof that failed.
    refused
        Rows that scikit-learn refuses, and how many of them the device predicts.
    """

    model: OnnxModel
    parity: Parity
    golden: GoldenRows
    notes: tuple[str, ...] = ()
    refused: RefusedRows = NO_REFUSED_ROWS


def verify_model(
    model: OnnxModel,
    estimator: Any,
    sample: Sample,
    *,
    unseen: pd.DataFrame | None = None,
    tolerance: float = EXACT,
    probe_seconds: float = PROBE_SECONDS,
) -> VerifiedModel:
    """Prove the outputs where possible, and compare all of them on rows made to find a difference.

    The proof reads the graph back from its bytes (:mod:`edge_pipeline.proof`).  The rows are
    unseen, recombined, missing, unknown and far away (:mod:`edge_pipeline.verification.probes`).

    Parameters
    ----------
    unseen
        Rows that training did not see, in the columns of ``sample.table``.
    tolerance
        Largest difference of two numbers, relative to the output's largest magnitude: on the rows
        compared, or on ordinary rows where that is larger.  Labels, integers and booleans must be
        equal.  The tolerance is 1e-6 where the estimator computes in float32 by functions that
        depend on the CPU.  So it is where every prediction of scikit-learn is ambiguous.
    probe_seconds
        Seconds that scikit-learn may take for the rows; a slow estimator is compared on fewer.

    Raises
    ------
    ParityError
        A prediction differs; names the row, the output and both predictions.
    ConversionError
        scikit-learn itself refuses every row.
    """
    oracle = Oracle(estimator, replace(sample, schema=model.schema))
    schema = close_columns(oracle, model.outputs[0].method)
    model = replace(model, schema=schema)
    oracle = Oracle(estimator, replace(sample, schema=schema))
    proofs = _prove_outputs(model, oracle)
    probes = _predict_probes(model, oracle, proofs, unseen, probe_seconds)
    rows, all_ambiguous = _with_ambiguous_rows_marked(model, oracle.sample, probes.rows)
    tolerances = _tolerances(model, tolerance, all_ambiguous)
    with Model.from_parts(model.graph, unverified_manifest(model, tolerances[-1])) as device:
        golden = choose_golden_rows(model, oracle, rows)
        compared = [*rows, golden] if golden else rows
        try:
            check = _compare(device, oracle, proofs, tolerances, compared)
        except ParityError as error:
            if not all_ambiguous or error.output.partition(".")[0] in OPTIONAL_METHODS:
                raise
            raise UnsupportedEstimatorError(ALL_AMBIGUOUS, path=type(estimator).__name__) from error
        golden = _with_order_of_device(device, oracle.sample, golden)
        refused_rows = _count_refused(device, oracle.sample, probes.refused)
    tolerance = check.tolerance
    evidence, proof_notes = _with_proofs(check.evidence, proofs, tolerance)
    notes = (
        *([ALL_AMBIGUOUS_NOTE.format(tolerance=tolerance)] if all_ambiguous else []),
        *_ambiguous_note(rows),
        *check.notes.values(),
        *proof_notes,
        *([LEFT_OUT_NOTE.format(**probes.left_out)] if probes.left_out else []),
    )
    parity = Parity(tolerance, evidence, probes.left_out)
    golden_rows = golden_rows_to_json(schema.columns, golden)
    return VerifiedModel(model, parity, golden_rows, notes, refused_rows)


def _prove_outputs(model: OnnxModel, oracle: Oracle) -> Mapping[str, Proof]:
    return prove(
        model.graph,
        oracle.estimator,
        model.schema,
        model.outputs,
        dtypes=oracle.sample.dtypes,
        missing_markers=oracle.sample.missing_markers,
    )


def _predict_probes(
    model: OnnxModel,
    oracle: Oracle,
    proofs: Mapping[str, Proof],
    unseen: pd.DataFrame | None,
    seconds: float,
) -> ProbePredictions:
    """Predict the rows to compare: few of a large graph that is proven, where each costs much."""
    is_large = len(model.graph) >= LARGE_GRAPH_BYTES
    needs_few = is_large and all(proof.level == "proven" for proof in proofs.values())
    sizes = FEW_PROBES if needs_few else ALL_PROBES
    groups = probe_groups(oracle.sample, unseen, model.graph, sizes)
    probes = predict_probes(model, oracle, groups, by_row=needs_few, seconds=seconds)
    if is_large:
        return_freed_memory()
    return probes


def _with_ambiguous_rows_marked(
    model: OnnxModel, sample: Sample, rows: list[ProbedRows]
) -> tuple[list[ProbedRows], bool]:
    """Mark the ambiguous rows; where every ordinary row is one, mark none and return True."""
    reproducible = reproducible_rows(model, sample, [item.table for item in rows])
    marked = [
        replace(item, reproducible=mask) for item, mask in zip(rows, reproducible, strict=True)
    ]
    if not any(item.reproducible.any() for item in marked if item.group.can_be_golden):
        return rows, True
    return _with_methods_marked(model, sample, marked), False


def _with_methods_marked(
    model: OnnxModel, sample: Sample, rows: list[ProbedRows]
) -> list[ProbedRows]:
    """Mark the rows that are ambiguous for an optional method alone.

    Raises
    ------
    ParityError
        Every ordinary row is: there is nothing to compare.
    """
    for method in OPTIONAL_METHODS:
        names = [output.name for output in model.outputs if output.method == method]
        if not names:
            continue
        masks = reproducible_rows(model, sample, [item.table for item in rows], method)
        rows = [
            replace(item, reproducible_by_method={**item.reproducible_by_method, method: mask})
            for item, mask in zip(rows, masks, strict=True)
        ]
        if not any(item.reproducible_in_all.any() for item in rows if item.group.can_be_golden):
            raise ParityError(ALL_AMBIGUOUS, output=names[0], remedy="nothing was sealed")
    return rows


def _tolerances(model: OnnxModel, tolerance: float, all_ambiguous: bool) -> list[float]:
    """List the tolerances to try: a wider one only where scikit-learn itself has fewer digits."""
    if all_ambiguous:
        return [max(tolerance, ALL_AMBIGUOUS_TOLERANCE)]
    in_float32 = any(output.dtype == "float32" for output in model.outputs)
    if (in_float32 or model.has_float32_functions) and tolerance < EXACT_IN_FLOAT32:
        return [tolerance, EXACT_IN_FLOAT32]
    return [tolerance]


def _compare(
    device: Model,
    oracle: Oracle,
    proofs: Mapping[str, Proof],
    tolerances: Sequence[float],
    rows: Sequence[ProbedRows],
) -> ParityCheck:
    """Compare all *rows* within the first tolerance that holds; raise when the last does not."""
    *narrower, tolerance = tolerances
    if narrower:
        try:
            return _compare(device, oracle, proofs, narrower, rows)
        except ParityError:
            pass
    check = ParityCheck(device, oracle, proofs, tolerance, ordinary=rows[0])
    for item in rows:
        check.compare(item)
    return check


def _with_order_of_device(
    device: Model, sample: Sample, golden: ProbedRows | None
) -> ProbedRows | None:
    """Let the device replay its own order of equally near rows, which the comparison accepted."""
    if golden is None or POSITIONS not in golden.predictions:
        return golden
    positions = device.kneighbors(sample.dense_rows(golden.table))[1]
    return replace(golden, predictions={**golden.predictions, POSITIONS: positions})


def _ambiguous_note(rows: Sequence[ProbedRows]) -> Iterator[str]:
    """Note how many rows are ambiguous in the first group that has such rows.

    Where the sample has none, made rows may: equally near donors of a value that only they lack.
    """
    for item in rows:
        if not item.group.reach and not item.reproducible.all():
            yield from ambiguous_share_note(item.group.name, item.reproducible)
            return


def _count_refused(device: Model, sample: Sample, groups: Sequence[ProbeGroup]) -> RefusedRows:
    """Count the rows that scikit-learn refuses, and those of them that the device predicts."""
    rows = predicted = 0
    predict = getattr(device, device.manifest.outputs[0].method)
    for group in groups:
        rows += len(group.table)
        try:
            predict(sample.dense_rows(group.table))
        except (InputError, InferenceError):  # by input validation, or by a node of the graph
            continue
        predicted += len(group.table)
    return RefusedRows(rows, predicted)


def _with_proofs(
    evidence: Mapping[str, OutputEvidence], proofs: Mapping[str, Proof], tolerance: float
) -> tuple[dict[str, OutputEvidence], list[str]]:
    """Add each proof to the evidence; note where the graph contradicts scikit-learn's formula.

    Raises
    ------
    ParityError
        The graph has scikit-learn's formula with another number in it, and the user did not set a
        wider tolerance.
    """
    with_proofs = dict(evidence)
    notes = []
    for name, proof in proofs.items():
        if proof.contradicted:
            message = f"{name}: the graph has {proof.reason}, though the rows compared agree"
            if tolerance <= EXACT:
                raise ParityError(message, output=name)
            notes.append(message)
        with_proofs[name] = replace(
            evidence[name],
            level=proof.level,
            bound=proof.bound,
            formula=proof.formula or proof.reason[:MAX_REASON_LENGTH] or None,
        )
    return with_proofs, notes
