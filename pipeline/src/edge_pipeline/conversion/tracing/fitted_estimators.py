"""Call fitted estimators inside a traced function.

A user's function or class may hold a fitted scaler, or inherit from a scikit-learn class.  In the
copy that is traced, their methods take traced arrays, and the estimator's converter writes the
nodes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from edge_runtime.bundle.manifest import METHODS

from edge_pipeline.conversion.column_frame import Frame
from edge_pipeline.conversion.context import Context
from edge_pipeline.conversion.estimator_methods import OPTIONAL_METHODS
from edge_pipeline.conversion.graph.tensor import Tensor
from edge_pipeline.conversion.tracing.array import Tracer
from edge_pipeline.conversion.tracing.constant_array import ConstantArray
from edge_pipeline.conversion.tracing.frame import TracedFrame

__all__ = ["FittedEstimators"]

_CALLED = (*(method for method in METHODS if method not in OPTIONAL_METHODS), "inverse_transform")


class FittedEstimators:
    """Replace fitted estimators by stand-ins whose methods take traced arrays.

    Parameters
    ----------
    context
        Finds the converters.
    tracer
        Wraps their results.
    """

    def __init__(self, context: Context, tracer: Tracer) -> None:
        self._context = context
        self._tracer = tracer

    def stand_in(self, value: Any) -> Any | None:
        """Return a stand-in for a fitted estimator or an array; None for any other object."""
        kind = type(value)
        if kind is np.ndarray:
            return value.view(ConstantArray)
        if not hasattr(kind, "fit") or not any(hasattr(kind, method) for method in _CALLED):
            return None
        return _StandIn(self, value)

    def inherited_methods(self, base: type, original_of: Callable[[Any], Any]) -> type | None:
        """Return a class with the methods of a library's class, for traced arrays.

        ``super().transform(X)`` in a user's subclass finds them.

        Parameters
        ----------
        base
            The library's class.
        original_of
            Returns the user's instance, of which the traced one is a copy.
        """

        def method_of(name: str) -> Callable[..., Any]:
            def method(copied: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
                parent = copy.copy(original_of(copied))
                parent.__class__ = base
                return self.call(parent, name, X, *args, **kwargs)

            return method

        if not hasattr(base, "fit"):
            return None
        methods = {name: method_of(name) for name in _CALLED if hasattr(base, name)}
        return type(base.__name__, (), methods) if methods else None

    def call(self, estimator: Any, method: str, X: Any, *args: Any, **kwargs: Any) -> Any:
        """Call ``estimator.method(X)``; of a traced X, write the nodes of its converter."""
        if not hasattr(type(X), "to_tensor"):
            return getattr(estimator, method)(X, *args, **kwargs)
        if args or any(kwargs.values()):
            raise TypeError(f"{type(estimator).__name__}.{method} is traced with X alone")
        source: Tensor | Frame = X.to_frame() if type(X) is TracedFrame else X.to_tensor()
        if type(X) is TracedFrame:
            self._context.names.record(source, X.columns)
        output = self._context.call(estimator, method, source)
        names = self._context.names.of(output) if method == "transform" else None
        return self._wrap(output, names)

    def call_with_originals(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of this package: a traced function may export another estimator."""
        originals = [v._estimator if type(v) is _StandIn else v for v in args]
        return function(*originals, **kwargs)

    def _wrap(self, output: Any, names: Any) -> Any:
        if isinstance(output, Frame) or names is not None:
            frame = output if isinstance(output, Frame) else Frame(
                tuple((output, i) for i in range(output.width)))  # fmt: skip
            labels = range(frame.width) if names is None else names
            return TracedFrame(self._tracer, list(labels), frame)
        return self._tracer.wrap(output)


class _StandIn:
    """A fitted estimator whose methods take traced arrays; its attributes are the estimator's."""

    def __init__(self, estimators: FittedEstimators, estimator: Any) -> None:
        self._estimators = estimators
        self._estimator = estimator

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """Make ``isinstance(model, LogisticRegression)`` hold."""
        return type(self._estimator)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._estimator, name)
        if name in _CALLED:
            return lambda X, *args, **kwargs: self._estimators.call(
                self._estimator, name, X, *args, **kwargs
            )
        if name in ("steps", "named_steps", "estimators_", "transformers_", "best_estimator_"):
            return self._with_stand_ins(attribute)
        return attribute

    def __getitem__(self, key: Any) -> Any:
        return self._with_stand_ins(self._estimator[key])

    def __repr__(self) -> str:
        return repr(self._estimator)

    def _with_stand_ins(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._with_stand_ins(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._with_stand_ins(item) for item in value)
        if isinstance(value, np.ndarray):
            return value
        return self._estimators.stand_in(value) or value
