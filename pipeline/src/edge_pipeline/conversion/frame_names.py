"""Remember which tensors were data frames in training, and their column names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sklearn.utils._set_output import _auto_wrap_is_configured, _get_output_config

from edge_pipeline.conversion.column_frame import Frame, frame_of
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["FrameNames", "identity"]


def identity(X: Tensor | Frame) -> Any:
    """Return the key that identifies *X* among the tensors and frames of one graph."""
    return X if isinstance(X, Tensor) else X.columns


class FrameNames:
    """The column names of data frames.

    Parameters
    ----------
    inputs
        Tensor name and position to the column's name, for the input of a model of data frames.
    """

    def __init__(self, inputs: Mapping[tuple[str, int], str]) -> None:
        self._inputs = inputs
        self._names: dict[Any, tuple[Any, ...]] = {}

    def record(self, X: Tensor | Frame, names: Iterable[Any]) -> None:
        """Record the names of the columns of *X*."""
        self._names[identity(X)] = tuple(names)

    def record_output(self, output: Any, transformer: Any) -> None:
        """Record the names where ``set_output`` makes *transformer* return a data frame."""
        try:
            container = _get_output_config("transform", transformer)["dense"]
        except (AttributeError, ValueError):
            return
        # As scikit-learn does: LabelEncoder, for instance, always returns arrays.
        if container in ("pandas", "polars") and _auto_wrap_is_configured(transformer):
            self.record(output, transformer.get_feature_names_out())

    def of(self, X: Tensor | Frame) -> tuple[Any, ...] | None:
        """Return the names, or None where *X* was an array."""
        if isinstance(X, Tensor) and X.ndim == 1:
            return None
        names = self._names.get(identity(X))
        if names is None:
            places = [(tensor.name, i) for tensor, i in frame_of(X).columns]
            if all(place in self._inputs for place in places):
                names = tuple(self._inputs[place] for place in places)
        return names
