"""Run the fitted estimator: its predictions are what the graph must compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from edge_runtime.bundle.manifest import Output
from numpy.typing import NDArray

from edge_pipeline.conversion.estimator_methods import run_kneighbors, run_method
from edge_pipeline.data.sample import Sample
from edge_pipeline.errors import UnsupportedEstimatorError

__all__ = ["Oracle"]

_REFUSALS = Exception
"""scikit-learn raises ValueError or TypeError for rows that it refuses, but IndexError for a graph
of neighbours that has none, and a user's own step may raise anything."""


@dataclass(frozen=True, eq=False)
class Oracle:
    """The fitted estimator, run without warnings on tables of the sample's columns.

    Attributes
    ----------
    estimator
        The fitted estimator.
    sample
        Turns a table into the container that the estimator was trained on.
    """

    estimator: Any
    sample: Sample

    def predictions(
        self, table: pd.DataFrame, outputs: Sequence[Output]
    ) -> dict[str, NDArray[Any]] | None:
        """Predict *table* with the method of every output; None where the estimator refuses it.

        Raises
        ------
        UnsupportedEstimatorError
            A predicted string is missing, for which an ONNX tensor has no value.
        """
        rows = self.sample.as_trained(table)
        predictions: dict[str, NDArray[Any]] = {}
        for method in dict.fromkeys(output.method for output in outputs):
            try:
                answer = run_method(self.estimator, method, rows)
            except _REFUSALS:
                return None
            for output in outputs:
                if output.method == method:
                    values = answer if output.item is None else answer[output.item]
                    predictions[output.name] = self._checked(method, values, table)
        return predictions

    def kneighbors(self, table: pd.DataFrame, count: int) -> list[NDArray[Any]] | None:
        """Return the distances and positions of *count* training rows near each row.

        None where a sparse graph of neighbours does not hold as many.
        """
        try:
            return run_kneighbors(self.estimator, self.sample.as_trained(table), count)
        except _REFUSALS:
            return None

    def refuses(self, table: pd.DataFrame, method: str) -> bool:
        """Whether *method* raises for *table*."""
        try:
            run_method(self.estimator, method, self.sample.as_trained(table))
        except _REFUSALS:
            return True
        return False

    def predict_rows(self, X: Any, method: str) -> list[NDArray[Any]] | None:
        """Predict rows in the user's own container; None where the estimator refuses them."""
        try:
            answer = run_method(self.estimator, method, X)
        except _REFUSALS:
            return None
        return answer if isinstance(answer, list) else [answer]

    def _checked(self, method: str, values: NDArray[Any], table: pd.DataFrame) -> NDArray[Any]:
        """*values* with an axis of rows, after missing strings were refused."""
        if method == "transform" and values.ndim == len(table) == 1:
            values = self._with_row_axis(values, table)
        # scikit-learn distinguishes None from NaN; the device has one marker for both.
        if values.dtype.kind == "O" and pd.isna(values).any():
            raise UnsupportedEstimatorError(
                "transform returns strings of which some are missing, and an ONNX tensor has no "
                "missing string; end with an encoder, or impute them: SimpleImputer imputes None "
                "with missing_values=None, and NaN by default",
                path=type(self.estimator).__name__,
            )
        return values

    def _with_row_axis(self, values: NDArray[Any], table: pd.DataFrame) -> NDArray[Any]:
        """Add the axis of rows that transform drops for one row but keeps for two.

        SparsePCA drops it: its ``ridge_regression`` ravels a single target, which here is the row.
        """
        two_rows = self.sample.as_trained(pd.concat([table, table]))
        has_axis = run_method(self.estimator, "transform", two_rows).ndim == 2
        return values[np.newaxis] if has_axis else values
