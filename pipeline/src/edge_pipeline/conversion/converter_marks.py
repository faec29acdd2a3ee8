"""Mark the converters that do not take one matrix of float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from edge_pipeline.conversion.column_frame import Frame, in_float64
from edge_pipeline.conversion.graph.tensor import Tensor

__all__ = ["expected_dtypes", "on_any_dtype", "on_frame"]

_Converter = TypeVar("_Converter", bound=Callable[..., Any])


def on_frame(converter: _Converter) -> _Converter:
    """Mark *converter*: its X is a Tensor or a Frame of numbers and strings, not one matrix.

    Its numbers are float64, as after scikit-learn's ``check_array``.
    """
    converter.takes_frame = True  # type: ignore[attr-defined]
    return converter


def on_any_dtype(converter: _Converter) -> _Converter:
    """Mark *converter*: X comes as it is, of integers or booleans too.

    It passes X to other converters, or computes with the user's own function.
    """
    converter.takes_any_dtype = True  # type: ignore[attr-defined]
    return on_frame(converter)


def expected_dtypes(
    converter: Callable[..., Any],
    X: Tensor | Frame,
    promoted: dict[str, str],
    path: Sequence[str],
) -> Tensor | Frame:
    """Return *X* in the dtypes that *converter* takes: numbers in float64, unless it is marked.

    Parameters
    ----------
    promoted
        Receives the estimator's place, and the dtype that it gets in scikit-learn.
    path
        The estimator's place in the pipeline.
    """
    if getattr(converter, "takes_any_dtype", False):
        return X
    tensors = [X] if isinstance(X, Tensor) else [tensor for tensor, _ in X.columns]
    dtypes = {str(t.dtype) for t in tensors if not t.is_string} - {"float64"}
    if dtypes:
        promoted[" -> ".join(path)] = " and ".join(sorted(dtypes))
    return in_float64(X)
