"""What the stages tell whoever watches a build; nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_pipeline.data.dataset import Dataset
    from edge_pipeline.training.fit import FittedModel

__all__ = ["SILENT", "ProgressListener"]


class ProgressListener:
    """Is told what happens, when it happens; override what you want to hear.

    This class itself hears nothing.
    """

    def stage(self, name: str) -> None:
        """Say that a stage begins: read, train, convert, verify or seal."""

    def loaded(self, dataset: Dataset) -> None:
        """Say that the rows are there and divided."""

    def epoch(self, number: int, loss: float) -> None:
        """Say that one pass over the training rows ended with this loss."""

    def candidate(self, done: int, total: int | None, score: float, best: float) -> None:
        """Say that a search has tried one more candidate.

        Parameters
        ----------
        done, total
            Candidates tried so far, and in all where that is known.
        score, best
            Of the last one, NaN when it could not be fitted, and the best of all so far.
        """

    def weighed(self, done: int, total: int) -> None:
        """Say how many candidates are exported and measured, of how many."""

    def part(self, done: int, total: int) -> None:
        """Say that so many rows of a table that is read in parts are learnt, of how many."""

    def fitted(self, model: FittedModel) -> None:
        """Say that training ended."""


SILENT = ProgressListener()
"""Hears nothing."""
