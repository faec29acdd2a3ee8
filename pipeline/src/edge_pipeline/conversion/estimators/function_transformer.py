"""Convert FunctionTransformer: call the user's function once, with symbolic input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.preprocessing import FunctionTransformer

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context, Methods, on_any_dtype
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.trace import trace

__all__ = ["CONVERTERS"]


def _converter_of(
    func: str, kw_args: str
) -> Callable[[Context, Any, Tensor | Frame], Tensor | Frame]:
    """Return a converter that traces the parameter *func* with the parameter *kw_args*."""

    def convert(context: Context, transformer: Any, X: Tensor | Frame) -> Tensor | Frame:
        function = getattr(transformer, func)
        if function is None:
            return X
        # With validate=True the function gets an array, else the frame that came in.
        names = None if transformer.validate else getattr(transformer, "feature_names_in_", None)
        if func == "inverse_func" or (isinstance(X, Tensor) and X.ndim == 1):
            names = None
        return trace(context, func, function, X, getattr(transformer, kw_args) or {}, names=names)

    return on_any_dtype(convert)


CONVERTERS: dict[type, Methods] = {
    FunctionTransformer: {
        "transform": _converter_of("func", "kw_args"),
        "inverse_transform": _converter_of("inverse_func", "inv_kw_args"),
    }
}
