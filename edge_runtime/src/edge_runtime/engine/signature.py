"""Describe the inputs and outputs of a graph, for every engine."""

from __future__ import annotations

import numpy as np

from edge_runtime.records import record

__all__ = ["Signature"]


@record(frozen=True, slots=True)
class Signature:
    """Name and numpy element type of one graph input or output."""

    name: str
    element_type: type[np.generic]
