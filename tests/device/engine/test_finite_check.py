"""The fast paths for arrays accept and refuse exactly what the full validation does."""

import warnings
from typing import Any

import numpy as np
import pytest
from device import models
from edge_runtime.inputs.columns import CELLS_ONE_THREAD_SUMS, are_finite
from edge_runtime.model import Model

from edge_runtime import InputError

HUGE = [1e154, -1e200, 1.7976931348623157e308, 5e-324, -0.0]


@pytest.mark.parametrize("size", [0, 1, 7, CELLS_ONE_THREAD_SUMS, CELLS_ONE_THREAD_SUMS + 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_cell_that_is_not_finite_is_detected_anywhere(size: int, bad: float) -> None:
    block = np.zeros((1, size))
    assert are_finite(block)
    for place in {0, size // 2, size - 1} - {-1} if size else ():
        spoilt = block.copy()
        spoilt[0, place] = bad
        assert not are_finite(spoilt)


@pytest.mark.parametrize("value", HUGE)
def test_a_huge_or_tiny_number_is_accepted_without_warning(classifier: Model, value: float) -> None:
    row = np.array([value, 1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels: Any = classifier.predict(row[np.newaxis])
        assert classifier.predict_one(row) == classifier.predict_one(row.tolist()) == labels[0]
        many: Any = classifier.predict(np.tile(row, (5000, 1)))
    assert set(many.tolist()) == set(labels.tolist())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_rows", [1, 10, 6000])
def test_a_cell_that_is_not_finite_is_named_by_row_and_column(
    classifier: Model, bad: float, n_rows: int
) -> None:
    X = np.zeros((n_rows, 3))
    X[n_rows - 1, 1] = bad
    with pytest.raises(InputError) as caught:
        classifier.predict(X)
    assert (caught.value.row, caught.value.column) == (n_rows - 1, "x1")
    with pytest.raises(InputError) as caught:
        classifier.predict_one(X[-1])
    assert caught.value.column == "x1"


def test_arrays_of_every_layout_predict_alike(classifier: Model) -> None:
    X = np.random.default_rng(2).normal(size=(9, 3))
    expected = models.labels(X).tolist()
    read_only = X.copy()
    read_only.flags.writeable = False
    odd = np.frombuffer(b"x" + X.tobytes(), dtype=np.uint8)[1:].view(np.float64).reshape(9, 3)
    assert not odd.flags.aligned
    layouts = [
        X,
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        np.repeat(X, 2, axis=1)[:, ::2],
        X[::-1][::-1],
        read_only,
        odd,
        X.astype(">f8"),
    ]
    for layout in layouts:
        assert classifier.predict(layout).tolist() == expected  # type: ignore[union-attr]
        assert [classifier.predict_one(row) for row in layout] == expected
