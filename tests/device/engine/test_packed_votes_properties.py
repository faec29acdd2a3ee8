"""Whatever the leaves hold: what packed votes decide is what the sums in order decide."""

from typing import Any

import numpy as np
import pytest
from device.forest_models import stumps
from edge_runtime.engine.optimize.packed_votes import UNDECIDED, pack_votes

hypothesis = pytest.importorskip("hypothesis")  # not where the device's tests run bare
st = hypothesis.strategies


@st.composite
def cases(draw: Any) -> tuple[Any, Any]:
    """Probabilities of leaves, and the leaves that some rows end at, one a tree."""
    seed = draw(st.integers(0, 2**32 - 1))
    n_classes, n_trees = draw(st.integers(2, 6)), draw(st.integers(1, 200))
    random = np.random.default_rng(seed)
    parts = draw(st.sampled_from([1, 2, 3, 10, 97, None]))
    forest = stumps(n_trees, range(n_classes), seed, parts_of=parts)
    table = forest.probabilities.reshape(-1, n_classes)
    return table, random.integers(len(table), size=(20, n_trees))


@hypothesis.settings(max_examples=200, deadline=None, database=None, derandomize=True)
@hypothesis.given(cases())
def test_what_the_votes_decide_is_the_largest_sum_in_order(case: Any) -> None:
    table, leaves = case
    packing = pack_votes(table, leaves.shape[1])
    hypothesis.assume(packing is not None)
    assert packing is not None
    weights, tally = packing
    means = np.cumsum(table[leaves], axis=1)[:, -1] / leaves.shape[1]
    best, ordered = means.argmax(axis=1), np.sort(means, axis=1)
    # In any order: the sums are whole numbers below 2**53.
    sums = weights[leaves][:, ::-1].sum(axis=1)
    assert sums.max() < 2.0**53
    positions = tally.positions(sums)
    assert positions.tolist() == [tally.position(value) for value in sums.tolist()]
    decided = positions != UNDECIDED
    assert (positions[decided] == best[decided]).all()
    # Twice the margin is a lead that cannot be overlooked.
    assert decided[ordered[:, -1] - ordered[:, -2] > 2 * tally.margin / tally.total].all()
