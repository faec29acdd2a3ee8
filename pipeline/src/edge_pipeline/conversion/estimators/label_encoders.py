"""Convert encoders of targets, which take one column: LabelEncoder and LabelBinarizer."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer, LabelEncoder

from edge_pipeline.conversion.column_frame import Frame, frame_of, matrix_of
from edge_pipeline.conversion.context import Context, Methods, on_frame
from edge_pipeline.conversion.estimators.encoders import Codes, look_up
from edge_pipeline.conversion.graph import ops
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.input_restrictions import restrict_values

__all__ = ["CONVERTERS"]


def _position(context: Context, X: Tensor | Frame, classes: Any) -> Tensor:
    """Return the position of each label in *classes*, else -1; shape (n_samples, 1)."""
    values = list(classes)
    return look_up(context, frame_of(X), [Codes(values, np.arange(len(values)), -1)])


@on_frame
def _encoded(context: Context, encoder: Any, X: Tensor | Frame) -> Tensor:
    restrict_values(context, frame_of(X), [encoder.classes_])
    return ops.squeeze(_position(context, X, encoder.classes_), 1)


@on_frame
def _binarized(context: Context, binarizer: Any, X: Tensor | Frame) -> Tensor:
    """``label_binarize``: a column for each class; for two classes only the second's."""
    on, off = np.int64(binarizer.pos_label), np.int64(binarizer.neg_label)
    if binarizer.y_type_.startswith("multilabel"):
        return ops.where(matrix_of(X) != 0.0, on, off)
    n_classes = len(binarizer.classes_)
    if n_classes <= 2:
        # For a third label scikit-learn adds a second column to all rows of the same call.
        restrict_values(context, frame_of(X), [binarizer.classes_])
    if n_classes == 1:
        # scikit-learn returns neg_label for the only class, too.
        return ops.full_rows(matrix_of(X), np.array([off]))
    columns = np.arange(n_classes)[-1 if n_classes == 2 else 0 :]
    return ops.where(_position(context, X, binarizer.classes_) == columns, on, off)


CONVERTERS: dict[type, Methods] = {
    LabelEncoder: {"transform": _encoded},
    LabelBinarizer: {"transform": _binarized},
}
