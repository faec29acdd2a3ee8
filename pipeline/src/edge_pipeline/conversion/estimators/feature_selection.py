"""Convert feature selection: the selected columns; RFE also predicts from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_selection import RFE, RFECV, SelectorMixin

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context, Converter, MethodOutput, Methods, on_any_dtype
from edge_pipeline.conversion.estimators.dummy import constant_rows
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


@on_any_dtype
def _selected(_: Context, selector: Any, X: Tensor | Frame) -> Tensor | Frame:
    """SelectorMixin.transform."""
    positions = [int(i) for i in np.flatnonzero(selector.get_support())]
    frame = frame_of(X)
    if not positions:
        return constant_rows(frame, np.zeros(0))
    selected = frame.select(positions)
    return selected.matrix() if isinstance(X, Tensor) else selected


def _inverse(_: Context, selector: Any, X: Tensor) -> Tensor:
    """SelectorMixin.inverse_transform: zeros in the columns that were not selected."""
    support: NDArray[np.bool_] = selector.get_support()
    return X @ np.eye(len(support))[support]


def _of_selected(method: str) -> Converter:
    """Convert *method* of the estimator, called with the selected columns."""

    def convert(context: Context, selector: Any, X: Tensor | Frame) -> MethodOutput:
        selected = _selected(context, selector, X)
        return context.call(selector.estimator_, method, selected, at="estimator_")

    return on_any_dtype(convert)


_SELECTOR: Methods = {"transform": _selected, "inverse_transform": _inverse}
_ELIMINATOR: Methods = {
    **_SELECTOR,
    **{
        method: _of_selected(method)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function")
    },
}

CONVERTERS: dict[type, Methods] = {
    # Every selector inherits transform from SelectorMixin, also those of other libraries.
    SelectorMixin: _SELECTOR,
    **dict.fromkeys((RFE, RFECV), _ELIMINATOR),
}
