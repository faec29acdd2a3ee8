"""Hold the differences between the predictions of two sealed files, and judge them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from edge_runtime.bundle.manifest import Manifest

from edge_pipeline.short_repr import short_repr

__all__ = ["ChangedRow", "Comparison"]

NEAR_TIE = 0.1
"""Difference of the two best probabilities below which a label is a near tie."""

CONFIDENT = 0.9
"""Probability from which on a file counts as confident of its label."""


class ChangedRow(NamedTuple):
    """A row that the two files predict differently.

    Attributes
    ----------
    row
        Its number, from 1.
    before, after
        Both predictions.
    difference
        Absolute difference of two numbers, the largest one of several targets; None for labels.
    confidence_before, confidence_after
        Probability that each file gives its own label; None without probabilities.
    margin_before, margin_after
        Difference of the two best probabilities.
    """

    row: int
    before: Any
    after: Any
    difference: float | None = None
    confidence_before: float | None = None
    confidence_after: float | None = None
    margin_before: float | None = None
    margin_after: float | None = None

    @property
    def is_near_tie(self) -> bool:
        """Whether the label of one of the two files is a near tie."""
        margins = [m for m in (self.margin_before, self.margin_after) if m is not None]
        return bool(margins) and min(margins) < NEAR_TIE

    @property
    def is_confident(self) -> bool:
        """Whether both files are confident, and contradict each other."""
        confidences = (self.confidence_before, self.confidence_after)
        return all(c is not None and c >= CONFIDENT for c in confidences)


@short_repr
@dataclass(frozen=True)
class Comparison:
    """The differences between two sealed files' predictions for the same rows.

    Attributes
    ----------
    before, after
        Manifests of the two files.
    method
        The method compared: ``predict`` if both files have it.
    rows
        Number of rows that both files accept.
    tolerance
        Largest difference of two numbers that counts as equal, relative to the largest magnitude.
    schema_changes
        Changes that matter to a program that sends rows to the first file.
    changed
        Rows with another prediction, the most important first.
    worst
        Largest difference of two numbers, or of two probabilities; None without either.
    refused_before, refused_after
        Number of a row, from 1, that only this file refuses, to the reason.
    right_before, right_after
        Number of changed rows that each file predicts correctly, when the target is known.
    """

    before: Manifest
    after: Manifest
    method: str
    rows: int
    tolerance: float
    schema_changes: tuple[str, ...]
    changed: tuple[ChangedRow, ...]
    worst: float | None
    refused_before: dict[int, str]
    refused_after: dict[int, str]
    right_before: int | None = None
    right_after: int | None = None

    @property
    def is_same(self) -> bool:
        """Whether predictions, refusals and schema are all the same."""
        return not (
            self.changed or self.schema_changes or self.refused_before or self.refused_after
        )

    @property
    def compared(self) -> str:
        """The kind of values that ``worst`` compares."""
        return "numbers" if self.after.outputs[0].dtype.startswith("float") else "probabilities"

    def verdict(self) -> list[str]:
        """Return sentences that say how much the differences matter, the worst first."""
        sentences = []
        if self.refused_after:
            sentences.append(f"{_rows(len(self.refused_after))} accepted before, refused now")
        if not self.changed:
            return [*sentences, f"no prediction changed on {_rows(self.rows)}"]
        share = 100 * len(self.changed) / self.rows
        sentences.append(f"{len(self.changed)} of {_rows(self.rows)} changed ({share:.3g} %)")
        confident = sum(row.is_confident for row in self.changed)
        ties = sum(row.is_near_tie for row in self.changed)
        if confident:
            sentences.append(
                f"in {confident} of them both files are confident of different labels "
                f"(probability {CONFIDENT} or more): look at these first"
            )
        if ties:
            sentences.append(
                f"{ties} of them are near ties (the two best probabilities less than "
                f"{NEAR_TIE} apart)"
            )
        if self.right_before is not None and self.right_after is not None:
            sentences.append(
                f"by the target, {_rows(self.right_after)} became correct and "
                f"{self.right_before} became wrong"
            )
        return sentences

    def _repr_html_(self) -> str:
        """Show the verdict and the most important rows in a notebook."""
        from edge_runtime.notebook_html import table

        lines = [(self.method, sentence) for sentence in self.verdict()]
        lines += [("schema", change) for change in self.schema_changes]
        lines += [(f"row {row.row}", f"{row.before} -> {row.after}") for row in self.changed[:20]]
        return table(f"{self.before.name}, {self.after.name}", lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "before": {"name": self.before.name, "version": self.before.version},
            "after": {"name": self.after.name, "version": self.after.version},
            "method": self.method,
            "rows": self.rows,
            "tolerance": self.tolerance,
            "same": self.is_same,
            "verdict": self.verdict(),
            "schema_changes": list(self.schema_changes),
            "worst": self.worst,
            "changed": [
                {**row._asdict(), "near_tie": row.is_near_tie, "confident": row.is_confident}
                for row in self.changed
            ],
            "refused_before": {str(row): reason for row, reason in self.refused_before.items()},
            "refused_after": {str(row): reason for row, reason in self.refused_after.items()},
            "right_before": self.right_before,
            "right_after": self.right_after,
        }


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
