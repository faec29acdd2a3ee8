"""Parity evidence reads back as written, and contradictory evidence is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from device.models import classifier
from edge_runtime.bundle.manifest import Manifest, OutputEvidence, Parity
from edge_runtime.errors import IntegrityError

PROVEN = OutputEvidence(9, 0, 0.0, "proven", 2, 0.0, "trees")


def manifest_with(evidence: OutputEvidence) -> Manifest:
    return replace(classifier().manifest, parity=Parity(1e-9, {"predict": evidence}))


@pytest.mark.parametrize(
    "evidence",
    [
        PROVEN,
        replace(PROVEN, level="bounded", bound=1e-12),
        OutputEvidence(9, 0, 0.0),
        OutputEvidence(9, 0, 0.0, formula="SVC.predict has no formula"),
    ],
)
def test_evidence_reads_back_as_it_was_written(evidence: OutputEvidence) -> None:
    manifest = manifest_with(evidence)
    assert Manifest.from_bytes(manifest.to_bytes()).parity == manifest.parity


@pytest.mark.parametrize(
    "spoilt",
    [
        {"level": "certain"},
        {"level": "probed"},
        {"level": "bounded", "bound": None},
        {"bound": -1.0},
        {"bound": True},
        {"bound": "0"},
        {"formula": None},
        {"formula": 7},
        {"undetermined": -1},
        {"undetermined": 1.0},
        {"worst": "0"},
    ],
)
def test_evidence_that_contradicts_itself_is_refused(spoilt: dict[str, Any]) -> None:
    raw = manifest_with(replace(PROVEN, **spoilt)).to_bytes()
    with pytest.raises(IntegrityError, match=r"evidence|undetermined"):
        Manifest.from_bytes(raw)
