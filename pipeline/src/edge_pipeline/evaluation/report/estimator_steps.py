"""Describe a fitted estimator as nested steps, for the diagram of a report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer

from edge_pipeline.evaluation.report.measurements import Step

__all__ = ["estimator_steps"]

MAX_DEPTH = 8
MAX_STEPS = 30
"""Most inner estimators shown of one estimator: a forest has hundreds."""

MAX_LETTERS = 400


def estimator_steps(estimator: Any, name: str = "", columns: str = "", depth: int = 0) -> Step:
    """Describe *estimator*, and the estimators that its parameters hold."""
    inner = list(_inner(estimator))[:MAX_STEPS] if depth < MAX_DEPTH else []
    is_parallel = isinstance(estimator, ColumnTransformer | FeatureUnion) or len(inner) > 1
    return Step(
        name=name,
        estimator=type(estimator).__name__,
        kind="parallel" if is_parallel and not isinstance(estimator, Pipeline) else "serial",
        columns=columns,
        parameters=_parameters(estimator),
        steps=tuple(
            estimator_steps(step, step_name, step_columns, depth + 1)
            if not isinstance(step, str)
            else Step(name=step_name, estimator=step, columns=step_columns)
            for step_name, step, step_columns in inner
        ),
    )


def _inner(estimator: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield name, estimator or word, and columns of each inner estimator."""
    if isinstance(estimator, ColumnTransformer):
        fitted = getattr(estimator, "transformers_", estimator.transformers)
        for name, transformer, columns in fitted:
            if not _is_empty(columns):
                yield name, _passthrough_or_self(transformer), _listed(columns)
    elif isinstance(estimator, FeatureUnion | Pipeline):
        pairs = estimator.steps if isinstance(estimator, Pipeline) else estimator.transformer_list
        for name, step in pairs:
            yield name, "passthrough" if step is None else step, ""
    elif isinstance(estimator, BaseEstimator):
        for name, value in _own_parameters(estimator).items():
            if isinstance(value, BaseEstimator):
                yield name, value, ""
            elif isinstance(value, list) and value and _are_named_estimators(value):
                for inner_name, inner in value:
                    yield inner_name, inner, ""


def _passthrough_or_self(transformer: Any) -> Any:
    """Undo what fitting did: a FunctionTransformer without a function stands for a word."""
    is_identity = isinstance(transformer, FunctionTransformer) and transformer.func is None
    return "passthrough" if is_identity else transformer


def _are_named_estimators(values: list[Any]) -> bool:
    return all(
        isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], BaseEstimator)
        for value in values
    )


def _own_parameters(estimator: Any) -> dict[str, Any]:
    try:
        return dict(estimator.get_params(deep=False))
    except Exception:  # a class of the user's, or one that was unpickled from another release
        return {}


def _parameters(estimator: Any) -> str:
    """Write the parameters that differ from the defaults; inner estimators have their own box."""
    if isinstance(estimator, ColumnTransformer | FeatureUnion | Pipeline):
        return ""
    try:
        defaults = type(estimator)().get_params(deep=False)
    except Exception:  # a required argument, or a class of the user's
        defaults = {}
    texts = [
        f"{name}={value!r}"
        for name, value in _own_parameters(estimator).items()
        if not _holds_estimator(value)
        and (name not in defaults or repr(defaults[name]) != repr(value))
    ]
    # An address would differ from build to build.
    text = re.sub(r" at 0x[0-9a-f]+", "", " ".join(", ".join(texts).split()))
    return text if len(text) <= MAX_LETTERS else f"{text[: MAX_LETTERS - 1]}…"


def _holds_estimator(value: Any) -> bool:
    if isinstance(value, BaseEstimator):
        return True
    return isinstance(value, list) and bool(value) and _are_named_estimators(value)


def _is_empty(columns: Any) -> bool:
    return isinstance(columns, Iterable) and not isinstance(columns, str) and not len(list(columns))


def _listed(columns: Any) -> str:
    if callable(columns):
        return "chosen by a function"
    names = [columns] if isinstance(columns, str | int | slice) else list(columns)
    text = ", ".join(map(str, names))
    return text if len(text) <= MAX_LETTERS else f"{text[: MAX_LETTERS - 1]}…"
