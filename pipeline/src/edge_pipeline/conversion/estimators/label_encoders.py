"""Encoders of targets: LabelEncoder and LabelBinarizer, which take one column."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer, LabelEncoder

from edge_pipeline.conversion.column_frame import Frame, frame_of, matrix_of
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.estimators.encoders import Codes, look_up
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["CONVERTERS"]


def _position(context: Context, X: Tensor | Frame, classes: Any) -> Tensor:
    """Position of each label in *classes*, -1 for another; shape (n_samples, 1)."""
    values = list(classes)
    return look_up(context, frame_of(X), [Codes(values, np.arange(len(values)), -1)])


@on_frame
def _encoded(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    context.restrict_values(frame_of(X), [encoder.classes_])
    return ops.squeeze(_position(context, X, encoder.classes_), 1)


@on_frame
def _binarized(context: Context, binarizer: Any, X: Tensor | Frame) -> Tensor:
    """``label_binarize``: one column a class, of two classes the second's alone."""
    on, off = np.int64(binarizer.pos_label), np.int64(binarizer.neg_label)
    if binarizer.y_type_.startswith("multilabel"):
        return ops.where(matrix_of(X) != 0.0, on, off)
    count = len(binarizer.classes_)
    if count <= 2:
        # Of a third label scikit-learn makes a second column, for every row that is asked with it.
        context.restrict_values(frame_of(X), [binarizer.classes_])
    if count == 1:
        # scikit-learn answers neg_label for the only class, too.
        return ops.full_rows(matrix_of(X), np.array([off]))
    wanted = np.arange(count)[-1 if count == 2 else 0 :]
    return ops.where(_position(context, X, binarizer.classes_) == wanted, on, off)


CONVERTERS: dict[type, Methods] = {
    LabelEncoder: {"transform": _encoded},
    LabelBinarizer: {"transform": _binarized},
}
