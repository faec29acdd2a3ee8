"""Report the progress of a build to a listener; nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_pipeline.data.dataset import Dataset
    from edge_pipeline.training.fit import FittedModel

__all__ = ["SILENT", "ProgressListener"]


class ProgressListener:
    """Receives the progress of a build; override the methods that you need.

    The methods of this class do nothing.
    """

    def stage(self, name: str) -> None:
        """Receive the stage that begins: read, train, convert, verify, measure, seal or report."""

    def loaded(self, dataset: Dataset) -> None:
        """Receive the rows, split into training and test rows."""

    def epoch(self, number: int, loss: float) -> None:
        """Receive the loss at the end of one pass over the training rows."""

    def candidate(self, count: int, total: int | None, score: float, best: float) -> None:
        """Receive the score of one more candidate of a search.

        Parameters
        ----------
        count, total
            Number of candidates so far, and of all candidates where that is known.
        score, best
            Score of the last candidate, NaN when it could not be fitted, and the best score so far.
        """

    def candidate_measured(self, count: int, total: int) -> None:
        """Receive the number of candidates exported and measured, and of all candidates."""

    def part(self, count: int, total: int) -> None:
        """Receive the number of rows learnt, and of all rows, of a table that is read in parts."""

    def fitted(self, model: FittedModel) -> None:
        """Receive the fitted model at the end of training."""


SILENT = ProgressListener()
"""The listener that does nothing."""
