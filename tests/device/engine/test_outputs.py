"""Casts of what the graph gives mean the same on x86 and on ARM, or are refused."""

from typing import Any

import numpy as np
import pytest
from edge_runtime.bundle.manifest import Output
from edge_runtime.engine.outputs import to_trained_dtype

from edge_runtime import InferenceError


def output(dtype: str) -> Output:
    return Output("predict", "predict", dtype)


# What a CPU makes of these is its own business: ARM takes 2**63 for 2**63 - 1, and -1 for 0.
@pytest.mark.parametrize(
    ("dtype", "number"),
    [
        ("int64", 2.0**63),
        ("int64", -(2.0**64)),
        ("int64", float("nan")),
        ("int32", 2.0**31),
        ("int32", -(2.0**31) - 1),
        ("uint8", -1.0),
        ("uint8", 256.0),
        ("uint8", float("inf")),
    ],
)
def test_a_float_beyond_the_whole_numbers_is_refused(dtype: str, number: float) -> None:
    with pytest.raises(InferenceError, match="cannot hold"):
        to_trained_dtype(np.array([1.0, number]), output(dtype), 2)


@pytest.mark.parametrize(
    ("dtype", "numbers"),
    [
        ("int64", [-(2.0**63), 2.0**63 - 1024]),
        ("int32", [-(2.0**31), 2.0**31 - 1]),
        ("uint8", [0.0, 255.0]),
    ],
)
def test_the_outermost_whole_numbers_are_answered(dtype: str, numbers: list[float]) -> None:
    answer: Any = to_trained_dtype(np.array(numbers), output(dtype), 2)
    assert answer.dtype == np.dtype(dtype)
    assert answer.tolist() == [int(number) for number in numbers]
