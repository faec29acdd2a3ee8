"""Random tables and pipelines are exact on rows with new missing values and categories.

`make nightly` draws 300 of them, an ordinary run a few.
"""

from __future__ import annotations

import os
import warnings

import pytest

from conformance.random_pipelines import FAULTS, measure

COUNT = int(os.environ.get("EDGE_RANDOM_PIPELINES", "12"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(COUNT))
def test_a_random_pipeline_is_exact_or_refused_by_name(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = measure(seed)
    assert result["outcome"] not in FAULTS, result
