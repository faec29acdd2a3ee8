"""Convert imbalanced-learn's Pipeline, whose samplers do nothing when it predicts.

Its ensembles inherit their predictions from scikit-learn's, and have the converters of those.
"""

from __future__ import annotations

from typing import Any

from imblearn.pipeline import Pipeline

from edge_pipeline.conversion.context import Context, Converter, MethodOutput, Methods, on_any_dtype
from edge_pipeline.conversion.estimators import compose

__all__ = ["CONVERTERS"]


class _WithoutSamplers:
    """The steps of a fitted pipeline that take part in a prediction."""

    def __init__(self, pipeline: Any) -> None:
        # The place of a step in error messages is its place in the user's list.
        self.steps = [
            (name, "passthrough" if hasattr(step, "fit_resample") else step)
            for name, step in pipeline.steps
        ]


def _pipeline(convert: Converter) -> Converter:
    def convert_without_samplers(context: Context, pipeline: Any, X: Any) -> MethodOutput:
        return convert(context, _WithoutSamplers(pipeline), X)

    return on_any_dtype(convert_without_samplers)


CONVERTERS: dict[type, Methods] = {
    Pipeline: {method: _pipeline(convert) for method, convert in compose.PIPELINE_METHODS.items()}
}
