"""Missing strings: scikit-learn tells None from NaN, the device has one mark for both."""

from __future__ import annotations

from typing import Any

import pandas as pd
from numpy.typing import NDArray
from sklearn.impute import MissingIndicator, SimpleImputer

from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import UnsupportedEstimatorError

__all__ = ["none_is_a_word", "refuse_missing_strings"]


def none_is_a_word(estimator: Any, sample: Sample) -> bool:
    """Whether an imputer of NaN may meet None, which it takes for a word.

    The proof's formulas read a schema, in which the two are one.
    """
    gaps = zip(sample.schema.columns, sample.gaps, strict=True)
    if not any(column.is_string and column.missing and gap is None for column, gap in gaps):
        return False
    parts = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    return any(
        isinstance(part, SimpleImputer | MissingIndicator) and part.missing_values is not None
        for part in (estimator, *parts)
    )


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
