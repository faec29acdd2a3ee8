"""No damage to a graph changes a prediction beyond what the file promises."""

from __future__ import annotations

import pytest
from pipeline.proof.damages import DAMAGES
from pipeline.proof.mutations import FAMILIES, detection

WITHIN_THE_BOUND = {
    ("coefficient up 1 ulp", "one-hot, logistic"),
    ("scale up 1 ulp", "one-hot, logistic"),
}
"""A scaler is folded into these coefficients, so one unit in the last place is no contradiction.

The bound in the file has room for it, and stays true."""


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_that_changes_a_prediction_is_detected(damage: str) -> None:
    marks = {family: detection(family, damage) for family in FAMILIES}
    assert "!" not in marks.values(), marks
    undetected = {(damage, family) for family, mark in marks.items() if mark == "w"}
    assert undetected <= WITHIN_THE_BOUND
    assert set(marks.values()) != {"-"}, "no family has anything of this kind"


def test_every_family_has_damage_that_is_detected() -> None:
    """The table has more than twenty kinds of damage."""
    assert len(DAMAGES) > 20
    for family in FAMILIES:
        assert set(detection(family, "columns swapped")) & set("PRLS"), family
