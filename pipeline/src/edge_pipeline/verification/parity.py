"""Compare the device's predictions with scikit-learn's, and record the evidence of every output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import Output, OutputEvidence
from edge_runtime.model import Model
from numpy.typing import NDArray

from edge_pipeline.errors import ParityError
from edge_pipeline.proof.prove import Proof
from edge_pipeline.verification.neighbor_ties import DISTANCES, POSITIONS, with_ties_accepted
from edge_pipeline.verification.oracle import Oracle
from edge_pipeline.verification.probes.groups import ProbeGroup
from edge_pipeline.verification.rounding_noise import is_noise, largest_magnitude, loses_digits

__all__ = ["FAR_OUTSIDE", "ParityCheck", "ProbedRows", "largest_difference"]

FAR_OUTSIDE = "only a note, because the rows are far outside training"
"""Start of the notes about numbers such as 1e308, which seldom matter to a user."""

PRINTED_COLUMNS = 8
PRINTED_CELLS = 64
"""Columns of the differing row that an error message lists."""


@dataclass(frozen=True, eq=False)
class ProbedRows:
    """A group of rows with scikit-learn's predictions.

    Attributes
    ----------
    group
        The rows.
    predictions
        Output name to scikit-learn's predictions.
    reproducible
        The rows to compare; scikit-learn's prediction for the others is ambiguous.
    reproducible_by_method
        The rows to compare, for methods that depend on more than the others do.
    """

    group: ProbeGroup
    predictions: Mapping[str, NDArray[Any]]
    reproducible: NDArray[np.bool_]
    reproducible_by_method: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def reproducible_in(self, method: str) -> NDArray[np.bool_]:
        """Tell which rows to compare in the outputs of *method*."""
        return self.reproducible & self.reproducible_by_method.get(method, np.True_)

    @property
    def reproducible_in_all(self) -> NDArray[np.bool_]:
        """The rows that every method predicts reproducibly."""
        masks = [self.reproducible, *self.reproducible_by_method.values()]
        return np.asarray(np.logical_and.reduce(masks))

    @property
    def table(self) -> pd.DataFrame:
        """The rows, in the columns of the sample's table."""
        return self.group.table


class ParityCheck:
    """Compare one group of rows after the other.

    Parameters
    ----------
    device
        Runs the graph as a device does.
    oracle
        The estimator.
    proofs
        Output name to the proof of that output.
    tolerance
        Largest difference of two numbers, relative to the largest magnitude of the output.
    ordinary
        Ordinary rows: the largest magnitude of each output is taken from them.

    Attributes
    ----------
    evidence
        Output name to the number of rows compared and the largest difference.
    notes
        Output name to a note, where predictions far outside training differ.
    """

    def __init__(
        self,
        device: Model,
        oracle: Oracle,
        proofs: Mapping[str, Proof],
        tolerance: float,
        ordinary: ProbedRows,
    ) -> None:
        self.evidence: dict[str, OutputEvidence] = {}
        self.notes: dict[str, str] = {}
        self._device = device
        self._oracle = oracle
        self._proofs = proofs
        self.tolerance = tolerance
        self._scales = {
            name: largest_magnitude(values[ordinary.reproducible_in(name.partition(".")[0])])
            for name, values in ordinary.predictions.items()
        }

    def compare(self, rows: ProbedRows) -> None:
        """Compare every output on *rows*.

        Raises
        ------
        ParityError
            A prediction differs, and rounding does not explain it.
        """
        X = self._oracle.sample.dense_rows(rows.table)
        outputs = self._device.manifest.outputs
        by_method = {
            method: getattr(self._device, method)(X)
            for method in dict.fromkeys(output.method for output in outputs)
        }
        if "kneighbors" in by_method:
            rows = self._with_neighbor_ties(rows, by_method["kneighbors"][1])
        for output in outputs:
            predictions = by_method[output.method]
            predictions = predictions if output.item is None else predictions[output.item]
            self._compare_output(rows, output, predictions)

    def _with_neighbor_ties(self, rows: ProbedRows, positions: NDArray[Any]) -> ProbedRows:
        """Replace scikit-learn's positions by the graph's where those are as near."""
        expected = rows.predictions[DISTANCES], rows.predictions[POSITIONS]
        accepted = with_ties_accepted(self._oracle, rows.table, expected, positions, self.tolerance)
        return replace(rows, predictions={**rows.predictions, POSITIONS: accepted})

    def _compare_output(self, rows: ProbedRows, output: Output, predictions: NDArray[Any]) -> None:
        expected = rows.predictions[output.name]
        reproducible = rows.reproducible_in(output.method)
        if expected.shape == predictions.shape:
            expected, predictions = expected[reproducible], predictions[reproducible]
        difference = 0.0
        # Without a reproducible row not even the dtypes need to agree, as with
        # RadiusNeighborsRegressor on rows that have no neighbours.
        if reproducible.any():
            group = replace(rows.group, table=rows.table[reproducible])
            scale = self._scales[output.name]
            try:
                difference = largest_difference(
                    expected, predictions, output, group, self.tolerance, scale
                )
            except ParityError as error:
                if self._is_tolerable(expected, predictions, output, group):
                    self._note_difference(output, error)
                    return
                if loses_digits(self._oracle, output, group.table, expected, predictions):
                    raise _rounding_error(error) from error
                raise
        evidence = self.evidence.get(output.name, OutputEvidence(0, 0, 0.0))
        self.evidence[output.name] = replace(
            evidence,
            rows=evidence.rows + len(expected),
            worst=max(evidence.worst, difference),
            undetermined=evidence.undetermined + int(np.count_nonzero(~reproducible)),
        )

    def _is_tolerable(
        self,
        expected: NDArray[Any],
        predictions: NDArray[Any],
        output: Output,
        group: ProbeGroup,
    ) -> bool:
        """Whether a difference on *group* is only rounding: far outside training, unproven."""
        if not group.reach or self._proofs[output.name].level == "proven":
            return False
        if group.reach == "extreme":
            return True
        magnitude = max(self._scales[output.name], largest_magnitude(expected))
        tolerance = self.tolerance * magnitude
        return is_noise(self._oracle, output, group.table, expected, predictions, tolerance)

    def _note_difference(self, output: Output, error: ParityError) -> None:
        self.notes.setdefault(
            output.name,
            f"only a note, because the rows are far outside training: {error.difference}",
        )


def largest_difference(
    expected: NDArray[Any],
    predictions: NDArray[Any],
    output: Output,
    group: ProbeGroup,
    tolerance: float,
    least_scale: float = 0.0,
) -> float:
    """Return the largest relative difference; raise ParityError where it exceeds *tolerance*.

    Parameters
    ----------
    least_scale
        The output's largest magnitude on ordinary rows.  Differences are relative to it where the
        predictions for *group* are smaller: terms of a single row can cancel, and then
        scikit-learn itself has fewer digits.
    """
    if expected.shape != predictions.shape or expected.dtype.kind != predictions.dtype.kind:
        raise ParityError(
            f"{output.name}, {group.name}: scikit-learn returns shape {expected.shape} of "
            f"{expected.dtype}, the graph {predictions.shape} of {predictions.dtype}",
            output=output.name,
        )
    if expected.dtype.kind != "f":
        unequal = np.asarray(expected != predictions)
        if unequal.any():
            raise _parity_error(expected, predictions, unequal, output, group)
        return 0.0
    finite = np.isfinite(expected) & np.isfinite(predictions)
    both_nan = np.isnan(expected) & np.isnan(predictions)
    comparable = finite | (expected == predictions) | both_nan
    if not comparable.all():
        raise _parity_error(expected, predictions, ~comparable, output, group)
    if not finite.any():
        return 0.0
    a, b = np.where(finite, expected, 0.0), np.where(finite, predictions, 0.0)
    scale = max(float(np.abs(a).max()), least_scale) or 1.0
    differences = np.abs(a - b) / scale
    worst = float(differences.max())
    if not worst <= tolerance:
        detail = f"; difference {worst:.3g}, allowed {tolerance:.3g}"
        differs = ~(differences <= tolerance)
        raise _parity_error(expected, predictions, differs, output, group, detail)
    return worst


def _parity_error(
    expected: NDArray[Any],
    predictions: NDArray[Any],
    differs: NDArray[np.bool_],
    output: Output,
    group: ProbeGroup,
    detail: str = "",
) -> ParityError:
    row = int(np.argwhere(differs)[0][0])
    count = int(differs.reshape(len(differs), -1).any(axis=1).sum())
    columns = list(group.table.columns)[:PRINTED_COLUMNS]
    values = {name: _plain(group.table[name].iloc[row]) for name in columns}
    number = int(group.table.index[row])
    place = f"first in row {number}" if group.is_users else "first in"
    return ParityError(
        f"{output.name} differs on {count} of {len(expected)} rows ({group.name}); {place} "
        f"{values}: scikit-learn predicts {_plain(expected[row])!r}, the graph "
        f"{_plain(predictions[row])!r}{detail}",
        output=output.name,
        row=number,
    )


def _rounding_error(error: ParityError) -> ParityError:
    """Give *error* the remedy of an estimator whose sums lose the digits that are compared."""
    return ParityError(
        error.difference,
        output=error.output,
        row=error.row,
        remedy="scikit-learn's own prediction changes as much when the last bit of a number does, "
        "as where terms cancel: polynomials of a high degree, columns far from zero; begin with a "
        "StandardScaler, lower the degree, or set a wider tolerance: nothing was sealed",
    )


def _plain(value: Any) -> Any:
    """Convert *value* to Python's own types, which print without numpy's names."""
    if isinstance(value, np.ndarray) and value.size > PRINTED_CELLS:
        return f"an array of shape {value.shape}, mean {value.mean():.6g}"
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
