"""Feature selection: the chosen columns, and for RFE what its estimator says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_selection import RFE, RFECV, SelectorMixin

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.context import Context, MethodOutput, Methods, on_frame
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


@on_frame
def _chosen(_: Context, selector: Any, X: Tensor | Frame) -> Tensor | Frame:
    positions = [int(i) for i in np.flatnonzero(selector.get_support())]
    frame = frame_of(X)
    if not positions:
        return ops.full_rows(frame.columns[0][0], np.zeros(0))
    chosen = frame.select(positions)
    return chosen.matrix() if isinstance(X, Tensor) else chosen


def _spread(_: Context, selector: Any, X: Tensor) -> Tensor:
    """inverse_transform: zeros where a column was left out."""
    support: NDArray[np.bool_] = selector.get_support()
    return X @ np.eye(len(support))[support]


def _asked(method: str) -> Callable[[Context, Any, Tensor | Frame], MethodOutput]:
    """The estimator's answer for the chosen columns."""

    def convert(context: Context, selector: Any, X: Tensor | Frame) -> MethodOutput:
        seen = _chosen(context, selector, X)
        return context.call(selector.estimator_, method, seen, at="estimator_")

    return on_frame(convert)


_SELECTOR: Methods = {"transform": _chosen, "inverse_transform": _spread}
_ELIMINATOR: Methods = {
    **_SELECTOR,
    **{m: _asked(m) for m in ("predict", "predict_proba", "decision_function")},
}

CONVERTERS: dict[type, Methods] = {
    # Every selector inherits its transform, those of other libraries too.
    SelectorMixin: _SELECTOR,
    **dict.fromkeys((RFE, RFECV), _ELIMINATOR),
}
