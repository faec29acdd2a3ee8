"""LightGBM, XGBoost and CatBoost: which of our modules has the table of which library.

None of them is imported here: an estimator of a library exists only where somebody has imported
it, and the registry then asks for that library's table.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_pipeline.conversion.context import Methods

__all__ = ["CONVERTERS", "LIBRARIES"]

CONVERTERS: dict[type, Methods] = {}

LIBRARIES: Mapping[str, str] = {
    "catboost": "edge_pipeline.conversion.trees.catboost",
    "lightgbm": "edge_pipeline.conversion.trees.lightgbm",
    "xgboost": "edge_pipeline.conversion.trees.xgboost",
}
"""Library to the module whose ``CONVERTERS`` serves its estimators."""
