"""``verify``: the graph and scikit-learn asked the same rows; only equal answers pass.

In: an OnnxModel and its oracle, the fitted estimator.  Out: a VerifiedModel, the only thing that
can be sealed.  The graph is asked through edge_runtime, as the device will ask it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import (
    GoldenRows,
    Manifest,
    OutputEvidence,
    Parity,
    Requirements,
)
from edge_runtime.errors import InferenceError, InputError
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.conversion.convert import OnnxModel, dense
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import ConversionError, ParityError, UnsupportedEstimatorError
from edge_pipeline.proof.prove import Proof, prove
from edge_pipeline.verification.ambiguous_rows import (
    ALL_UNDETERMINED,
    ROUNDED,
    WITHIN_ROUNDING,
    determined_rows,
    note_of_share,
)
from edge_pipeline.verification.golden import golden_rows
from edge_pipeline.verification.missing_strings import refuse_missing_strings
from edge_pipeline.verification.parity import gap_between
from edge_pipeline.verification.probes.groups import ProbeGroup, close_columns, probe_groups
from edge_pipeline.verification.rounding_noise import is_noise, magnitude

__all__ = ["EXACT", "VerifiedModel", "unverified_manifest", "verify_model"]

EXACT = 1e-9
"""Default tolerance, relative to an output's largest magnitude: float64 on both sides leaves room
for another order of summation (n terms: n * 1.1e-16, Higham 2002, sec. 4.2), for nothing else."""

EXACT_IN_FLOAT32 = 1e-6
"""Least tolerance where the estimator itself answers in float32, as XGBoost does: its numbers are
rounded to 6e-8, and its exp differs from ours by as much."""

OLDEST_ONNXRUNTIME = "1.28"
GOLDEN_ROWS = 16
GOLDEN_CELLS = 20_000
"""Golden rows are replayed at every load: enough to notice, few enough to cost nothing."""

LONGEST_REASON = 200
"""Characters of why an output is not proven that the manifest keeps."""

WIDEST_GOLDEN_ANSWER = 200_000
"""No golden row is kept of a wider answer: it would take a megabyte of the manifest."""

ASKED_CELLS = 4_000_000
"""Most numbers of one output asked at once, 32 MB: a hashed text has a million a row."""

FED_CELLS = 1 << 26
"""Most numbers that the graph is fed for one group of rows."""


class RefusedRows(NamedTuple):
    """Rows asked that scikit-learn refuses, and how many of them the device answers."""

    rows: int
    answered: int


NO_REFUSED_ROWS = RefusedRows(0, 0)


@dataclass(frozen=True, eq=False)
class VerifiedModel:
    """A graph that was compared with its estimator; made by :func:`verify_model` alone.

    Attributes
    ----------
    model
        The graph, its schema now with what the estimator refuses.
    parity
        What was compared and how far apart it was.
    golden
        Rows with scikit-learn's answers.
    notes
        What whoever builds should know: rows that could not be compared, a proof that was not had.
    refused
        Rows that scikit-learn refuses, and what the device does with them.
    """

    model: OnnxModel
    parity: Parity
    golden: GoldenRows
    notes: tuple[str, ...] = ()
    refused: RefusedRows = NO_REFUSED_ROWS


@dataclass(frozen=True, eq=False)
class _Asked:
    """Rows that scikit-learn answered, its answers by output name, and which rows count."""

    group: ProbeGroup
    answers: Mapping[str, NDArray[Any]]
    kept: NDArray[np.bool_]


def verify_model(
    model: OnnxModel,
    estimator: Any,
    sample: Sample,
    *,
    unseen: pd.DataFrame | None = None,
    tolerance: float = EXACT,
) -> VerifiedModel:
    """Prove what can be proven, and compare every output on rows made to find a difference.

    The proof reads the graph back from its bytes (:mod:`edge_pipeline.proof`); the rows are
    unseen, recombined, missing, unknown and far away (:mod:`edge_pipeline.verification.probes`).

    Parameters
    ----------
    unseen
        Rows that training did not see, in the columns of ``sample.table``.
    tolerance
        Largest difference of two numbers, relative to the largest magnitude of the output on the
        rows compared, or on ordinary rows where that is larger.  Labels, integers and booleans must
        be equal whatever it is.  At least 1e-6 where the estimator answers in float32, and where
        its own rounding leaves no row determined to nine digits.

    Raises
    ------
    ParityError
        Some answer differs; names the row, the output and both answers.
    ConversionError
        scikit-learn itself refuses every row.
    """
    sample = replace(sample, schema=model.schema)
    schema = close_columns(estimator, sample, model.outputs[0].method)
    model = replace(model, schema=schema)
    sample = replace(sample, schema=schema)
    groups = list(probe_groups(sample, unseen, model.graph))
    answered = [_ask(model, estimator, sample, group) for group in groups]
    asked = [item for item in answered if item is not None]
    if not asked:
        raise ConversionError(
            "scikit-learn refuses every row of the sample X, so nothing can be compared"
        )
    asked, rounded = _undoubted(model, sample, asked, tolerance)
    if rounded:
        tolerance = max(tolerance, WITHIN_ROUNDING)
    if any(output.dtype == "float32" for output in model.outputs):
        tolerance = max(tolerance, EXACT_IN_FLOAT32)
    proofs = _proofs(model, estimator, sample)
    device = Model.from_parts(model.graph, unverified_manifest(model, tolerance))
    evidence: dict[str, OutputEvidence] = {}
    far: dict[str, str] = {}
    scales = _scales(asked[0])
    golden = None
    if model.output_width <= WIDEST_GOLDEN_ANSWER:
        golden = _asked_for_golden(model, estimator, sample, asked)
    with device:
        try:
            for item in [*asked, golden] if golden else asked:
                _compare_group(
                    device, model, sample, item, tolerance, evidence, proofs, far, scales, estimator
                )
        except ParityError as error:
            if not rounded:
                raise
            kind = type(estimator).__name__
            raise UnsupportedEstimatorError(ALL_UNDETERMINED, path=kind) from error
        refused = [g for g, item in zip(groups, answered, strict=True) if item is None]
        count = RefusedRows(*_refused(device, model, sample, refused))
    rows = GoldenRows((), {})
    if golden is not None:
        rows = golden_rows(model.schema, golden.group.table, golden.answers)
    notes = [ROUNDED.format(tolerance=tolerance)] if rounded else []
    notes += [
        *note_of_share(asked[0].group.name, asked[0].kept),
        *far.values(),
        *_proven(proofs, tolerance, evidence),
    ]
    return VerifiedModel(model, Parity(tolerance, evidence), rows, tuple(notes), count)


def _proofs(model: OnnxModel, estimator: Any, sample: Sample) -> Mapping[str, Proof]:
    return prove(
        model.graph,
        estimator,
        model.schema,
        model.outputs,
        dtypes=sample.dtypes,
        gaps=sample.missing_markers,
    )


def _refused(
    device: Model, model: OnnxModel, sample: Sample, groups: Sequence[ProbeGroup]
) -> tuple[int, int]:
    """Rows that scikit-learn refuses, and how many of them the device answers."""
    rows = answered = 0
    for group in groups:
        rows += len(group.table)
        try:
            getattr(device, model.outputs[0].method)(sample.as_trained(group.table))
        except (InputError, InferenceError):  # at the border, or stopped in the graph
            continue
        answered += len(group.table)
    return rows, answered


def _proven(
    proofs: Mapping[str, Proof], tolerance: float, evidence: dict[str, OutputEvidence]
) -> Iterator[str]:
    """Add to *evidence* what is known of every input; a note where the graph contradicts it.

    Raises
    ------
    ParityError
        The graph has scikit-learn's formula with another number in it, and nobody asked for a
        wider tolerance.
    """
    for name, proof in proofs.items():
        if proof.contradicted:
            told = f"{name}: the graph has {proof.reason}, though the rows compared agree"
            if tolerance <= EXACT:
                raise ParityError(
                    f"{told}; report it with the estimator's parameters: nothing was sealed",
                    output=name,
                )
            yield told
        evidence[name] = replace(
            evidence[name],
            level=proof.level,
            bound=proof.bound,
            formula=proof.formula or proof.reason[:LONGEST_REASON] or None,
        )


def _ask(model: OnnxModel, estimator: Any, sample: Sample, group: ProbeGroup) -> _Asked | None:
    """scikit-learn's answers, or None where it refuses these rows."""
    limit = min(ASKED_CELLS // model.output_width, FED_CELLS // max(1, model.schema.numbers_width))
    group = replace(group, table=group.table.head(max(2, limit)))
    rows = sample.as_trained(group.table)
    answers: dict[str, NDArray[Any]] = {}
    for method in dict.fromkeys(output.method for output in model.outputs):
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                answer = getattr(estimator, method)(rows)
        except (ValueError, TypeError, ArithmeticError):
            return None
        for output in model.outputs:
            if output.method == method:
                told = dense(answer if output.item is None else answer[output.item])
                if method == "transform" and told.ndim == len(group.table) == 1:
                    told = _by_rows(told, estimator, sample, group.table)
                refuse_missing_strings(estimator, told)
                answers[output.name] = told
    return _Asked(group, answers, np.ones(len(group.table), dtype=np.bool_))


def _by_rows(
    answer: NDArray[Any], estimator: Any, sample: Sample, table: pd.DataFrame
) -> NDArray[Any]:
    """What transform answers for one row, with the axis of rows that two rows have.

    SparsePCA drops it: ``ridge_regression`` ravels what has one target, and there a row is one.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        twice = estimator.transform(sample.as_trained(pd.concat([table, table])))
    return answer[np.newaxis] if dense(twice).ndim == 2 else answer


def _undoubted(
    model: OnnxModel, sample: Sample, asked: list[_Asked], tolerance: float
) -> tuple[list[_Asked], bool]:
    """*asked* with the rows marked that count; and whether all do, since no ordinary one would."""
    tables = [item.group.table for item in asked]
    kept = determined_rows(model, sample, unverified_manifest(model, tolerance), tables)
    ordinary = zip(asked, kept, strict=True)
    if not any(rows.any() for item, rows in ordinary if item.group.can_be_golden):
        return asked, True
    return [replace(item, kept=rows) for item, rows in zip(asked, kept, strict=True)], False


def _compare_group(
    device: Model,
    model: OnnxModel,
    sample: Sample,
    asked: _Asked,
    tolerance: float,
    evidence: dict[str, OutputEvidence],
    proofs: Mapping[str, Proof],
    far: dict[str, str],
    scales: Mapping[str, float],
    estimator: Any,
) -> None:
    """Add to *evidence*; to *far* where sums of extreme numbers differ and no proof forbids it."""
    rows = sample.as_trained(asked.group.table)
    found_by_method = {o.method: getattr(device, o.method)(rows) for o in model.outputs}
    kept = replace(asked.group, table=asked.group.table[asked.kept])
    for output in model.outputs:
        found = found_by_method[output.method]
        found = found if output.item is None else found[output.item]
        expected = asked.answers[output.name]
        if expected.shape == found.shape:
            expected, found = expected[asked.kept], found[asked.kept]
        # A dtype, too, may be undetermined: RadiusNeighborsRegressor's, of rows without neighbours.
        try:
            gap = 0.0
            if asked.kept.any():
                scale = scales[output.name]
                gap = gap_between(expected, found, output, kept, tolerance, scale)
        except ParityError as error:
            reach, is_proven = asked.group.reach, proofs[output.name].level == "proven"
            if is_proven or not reach:
                raise
            allowed = tolerance * max(scales[output.name], magnitude(expected))
            if reach == "far" and not is_noise(
                estimator, sample, output, kept.table, expected, found, allowed
            ):
                raise
            told = str(error).partition("; report it")[0]
            far.setdefault(output.name, f"no more than a note, far outside training: {told}")
            continue
        before = evidence.get(output.name, OutputEvidence(0, 0, 0.0))
        evidence[output.name] = replace(
            before,
            rows=before.rows + len(expected),
            worst=max(before.worst, gap),
            undetermined=before.undetermined + int(np.count_nonzero(~asked.kept)),
        )


def _scales(asked: _Asked) -> dict[str, float]:
    """The largest magnitude of each output on the first group, which are ordinary rows."""
    return {name: magnitude(answer[asked.kept]) for name, answer in asked.answers.items()}


def unverified_manifest(model: OnnxModel, tolerance: float) -> Manifest:
    """Enough of a manifest for the device's reader, before there is anything to claim."""
    return Manifest(
        name="unverified",
        task="unverified",
        estimator="",
        schema=model.schema,
        outputs=model.outputs,
        parity=Parity(tolerance, {}),
        golden=GoldenRows((), {}),
        requires=requirements(model),
        classes=model.classes,
    )


def requirements(model: OnnxModel) -> Requirements:
    """What the graph needs of a device."""
    return Requirements(model.opsets, OLDEST_ONNXRUNTIME)


def _asked_for_golden(
    model: OnnxModel, estimator: Any, sample: Sample, asked: list[_Asked]
) -> _Asked:
    """A few rows of every group in turn, within the limits.

    Asked again as they will be on the device, all at once: of a table in which every value is
    missing, IterativeImputer answers differently from the same row among others.
    """
    width = max(len(model.schema.columns), model.output_width)
    limit = max(1, min(GOLDEN_ROWS, GOLDEN_CELLS // width))
    picks: list[pd.DataFrame] = []
    depth = 0
    tables = [a.group.table[a.kept] for a in asked if a.group.can_be_golden]
    while len(picks) < limit and any(depth < len(table) for table in tables):
        picks += [table.iloc[[depth]] for table in tables if depth < len(table)]
        depth += 1
    if not picks:
        raise UnsupportedEstimatorError(ALL_UNDETERMINED, path=type(estimator).__name__)
    table = pd.concat(picks[:limit], ignore_index=True)
    golden = _ask(model, estimator, sample, ProbeGroup("golden rows", table))
    if golden is None:
        raise ConversionError(
            "scikit-learn refuses rows together that it answered apart: no golden rows can be kept"
        )
    return golden
