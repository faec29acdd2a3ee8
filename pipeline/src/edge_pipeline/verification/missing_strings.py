"""Missing strings: scikit-learn tells None from NaN, the device has one mark for both."""

from __future__ import annotations

from typing import Any

import pandas as pd
from numpy.typing import NDArray

from edge_pipeline.errors import UnsupportedEstimatorError

__all__ = ["refuse_missing_strings"]


def refuse_missing_strings(estimator: Any, answer: NDArray[Any]) -> None:
    """Refuse an answer of strings of which some are missing.

    Raises
    ------
    UnsupportedEstimatorError
        Some are.
    """
    if answer.dtype.kind == "O" and pd.isna(answer).any():
        raise UnsupportedEstimatorError(
            "transform answers with strings of which some are missing, for which an ONNX tensor "
            "has no value; end with an encoder, or fill them: SimpleImputer fills None with "
            "missing_values=None, and NaN as it is",
            path=type(estimator).__name__,
        )
