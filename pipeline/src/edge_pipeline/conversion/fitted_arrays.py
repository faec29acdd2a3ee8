"""What a model learnt, dense or sparse, in; a dense array of float64 out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dense_array"]


def dense_array(matrix: Any) -> NDArray[np.float64]:
    """*matrix*, also one of scipy: after ``sparsify()``, or rows of a sparse training table."""
    if hasattr(matrix, "toarray"):
        matrix = matrix.toarray()
    return np.asarray(matrix, dtype=np.float64)
