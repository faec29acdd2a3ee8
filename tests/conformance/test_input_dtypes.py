"""Every estimator converts after a step that computes booleans, integers or float32."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from edge_pipeline import convert
from edge_pipeline.errors import ConversionError
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from conformance.cases import estimator_named, methods_of, names
from conformance.one import difference_of
from conformance.rows import input_for, target_for

STEPS: dict[str, Callable[[Any], Any]] = {
    "bool": lambda X: X > 0.5,
    "int64": lambda X: np.floor(X * 2).astype(np.int64),
    "float32": lambda X: X.astype(np.float32),
}

SAME_VALUES: dict[str, Callable[[Any], Any]] = {
    "bool": lambda X: (X > 0.5).astype(float),
    "int64": lambda X: np.floor(X * 2),
    "float32": lambda X: X.astype(np.float32).astype(float),
}


def differences(name: str, step: Callable[[Any], Any]) -> float | None:
    """Return the largest difference of graph and estimator after *step*; None if not fitted.

    It is 0 where export refuses a difference by name: the model says which estimator gets the
    dtype, in which scikit-learn computes.
    """
    rng = np.random.default_rng(0)
    estimator = clone(estimator_named(name))
    X, unseen = input_for(estimator, rng)
    if not (isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "f"):
        pytest.skip("its input is no matrix of numbers")
    X, unseen = np.abs(np.nan_to_num(X)), np.abs(np.nan_to_num(unseen))
    y = target_for(estimator, X, rng)
    pipeline = make_pipeline(FunctionTransformer(step), estimator)
    try:
        pipeline.fit(X) if y is None else pipeline.fit(X, y)
        expected = {method: getattr(pipeline, method)(unseen) for method in methods_of(pipeline)}
    except Exception:
        return None  # scikit-learn refuses such input
    try:
        model = convert(pipeline, X)
    except ConversionError:
        return 0.0  # refused by name
    session = onnxruntime.InferenceSession(model.graph, providers=["CPUExecutionProvider"])
    inputs = {node.name: unseen for node in session.get_inputs()}
    largest = 0.0
    for output in model.outputs:
        if output.method in expected:
            of_estimator = expected[output.method]
            of_estimator = of_estimator if output.item is None else of_estimator[output.item]
            dense = of_estimator.toarray() if hasattr(of_estimator, "toarray") else of_estimator
            prediction = session.run([output.name], inputs)[0].astype(np.asarray(dense).dtype)
            largest = max(largest, difference_of(dense, prediction))
    return 0.0 if model.promoted and largest > 1e-9 else largest


@pytest.mark.slow
@pytest.mark.parametrize("dtype", STEPS)
@pytest.mark.parametrize("name", names())
def test_an_estimator_takes_what_a_step_computed(name: str, dtype: str) -> None:
    """The graph is valid, and exact; or a difference has a cause that export names.

    Where the same values in float64 are ambiguous (ties), they are so in this dtype.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        difference = differences(name, STEPS[dtype])
        if difference is not None and difference > 1e-9:
            in_float64 = differences(name, SAME_VALUES[dtype])
            assert in_float64 is not None
            assert in_float64 > 1e-9, (difference, in_float64)
