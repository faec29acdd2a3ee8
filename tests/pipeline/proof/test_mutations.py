"""No damage to a graph changes an answer against what the file promises."""

from __future__ import annotations

import pytest
from pipeline.proof.damages import DAMAGES
from pipeline.proof.mutations import FAMILIES, noticed

WITHIN_THE_BOUND = {
    ("coefficient up 1 ulp", "one-hot, logistic"),
    ("scale up 1 ulp", "one-hot, logistic"),
}
"""A scaler is folded into these coefficients, so one unit in the last place is no contradiction:
the bound in the file has room for it, and stays true."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_changes_an_answer_is_noticed(damage: str) -> None:
    marks = {family: noticed(family, damage) for family in FAMILIES}
    assert "!" not in marks.values(), marks
    unnoticed = {(damage, family) for family, mark in marks.items() if mark == "w"}
    assert unnoticed <= WITHIN_THE_BOUND
    assert set(marks.values()) != {"-"}, "no family has anything of this kind"


def test_every_family_has_damage_that_is_noticed_and_there_are_more_than_twenty_kinds() -> None:
    assert len(DAMAGES) > 20
    for family in FAMILIES:
        assert set(noticed(family, "columns swapped")) & set("PRLS"), family
