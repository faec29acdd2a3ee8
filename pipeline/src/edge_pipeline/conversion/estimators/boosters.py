"""Map libraries other than scikit-learn to the modules that convert their estimators.

None of these libraries is imported here.  An estimator of a library exists only where the library
is imported; the registry then loads that library's table.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_pipeline.conversion.context import Methods

__all__ = ["CONVERTERS", "LIBRARIES"]

CONVERTERS: dict[type, Methods] = {}

LIBRARIES: Mapping[str, str] = {
    "catboost": "edge_pipeline.conversion.boosters.catboost",
    "imblearn.pipeline": "edge_pipeline.conversion.libraries.imblearn",
    "lightgbm": "edge_pipeline.conversion.boosters.lightgbm",
    "mapie": "edge_pipeline.conversion.libraries.mapie",
    "skrub": "edge_pipeline.conversion.libraries.skrub",
    "xgboost": "edge_pipeline.conversion.boosters.xgboost",
}
"""Library to the module with the ``CONVERTERS`` of its estimators."""
