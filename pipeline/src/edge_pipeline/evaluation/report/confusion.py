"""Count the confusion matrix of a report: the rows of each class by predicted class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from edge_pipeline.evaluation.report.measurements import Confusion

__all__ = ["confusion"]

MOST_CLASSES = 30
"""Most classes of a confusion matrix that fits on a page."""


def confusion(y: NDArray[Any], predicted: NDArray[Any], classes: Sequence[Any]) -> Confusion:
    """Count the rows of each true class by predicted class."""
    labels = sorted({*classes, *np.unique(y).tolist()}, key=str) if not classes else list(classes)
    if len(labels) > MOST_CLASSES:
        raise ValueError(f"{len(labels)} classes are too many for one table")
    counts = confusion_matrix(y, predicted, labels=labels)
    return Confusion(
        labels=tuple(map(str, labels)), counts=tuple(tuple(row) for row in counts.tolist())
    )
