"""Parity evidence reads back as written, and contradictory evidence is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from device.models import classifier
from edge_runtime.bundle.manifest import GoldenRows, Manifest, OutputEvidence, Parity
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
        {"worst": True},
        {"worst": -1.0},
    ],
)
def test_evidence_that_contradicts_itself_is_refused(spoilt: dict[str, Any]) -> None:
    raw = manifest_with(replace(PROVEN, **spoilt)).to_bytes()
    with pytest.raises(IntegrityError, match=r"evidence|undetermined"):
        Manifest.from_bytes(raw)


@pytest.mark.parametrize("tolerance", [True, -1e-9, "0", None, []])
def test_a_tolerance_is_a_number_that_is_not_negative(tolerance: Any) -> None:
    manifest = classifier().manifest
    spoilt = {**manifest.to_json(), "parity": {"tolerance": tolerance, "outputs": {}}}
    with pytest.raises(IntegrityError, match="tolerance must be a number"):
        Manifest.from_bytes(json.dumps(spoilt).encode())


@pytest.mark.parametrize(
    ("field", "spoilt"),
    [
        ("parity.outputs", {"parity": Parity(1e-9, {"transform": PROVEN})}),
        ("golden.answers", {"golden": GoldenRows((), {"transform": []})}),
        ("classes", {"classes": {"predict_proba.7": ["a", "b"]}}),
    ],
)
def test_an_output_that_does_not_exist_has_no_evidence(field: str, spoilt: Any) -> None:
    """Evidence for another output would look as if this model had been compared."""
    raw = replace(classifier().manifest, **spoilt).to_bytes()
    with pytest.raises(IntegrityError, match=f"{field} has .* which is no output of the model"):
        Manifest.from_bytes(raw)
