"""Read fitted arrays, dense or sparse, as dense float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dense_array"]


def dense_array(matrix: Any) -> NDArray[np.float64]:
    """Convert *matrix*, also a sparse one of scipy, as after ``sparsify()`` or sparse training."""
    if hasattr(matrix, "toarray"):
        matrix = matrix.toarray()
    return np.asarray(matrix, dtype=np.float64)
