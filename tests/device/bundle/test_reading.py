"""Test the sealed reading: bounded, checked, absent from older files."""

from dataclasses import replace
from typing import Any

import pytest
from device import models
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.reading import PLAIN, CellRule, Reading
from edge_runtime.errors import IntegrityError

GERMAN = Reading(
    ";",
    ",",
    ".",
    "cp1252",
    ("?", "-"),
    ("a", "b"),
    {"a": CellRule("EUR", ",", ""), "b": CellRule()},
)


def test_a_reading_survives_the_manifest() -> None:
    manifest = replace(models.mixed().manifest, reading=GERMAN)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_a_manifest_without_a_reading_still_loads() -> None:
    manifest = models.mixed().manifest
    assert b"reading" not in manifest.to_bytes()
    assert Manifest.from_bytes(manifest.to_bytes()).reading is None


@pytest.mark.parametrize(
    "change",
    [
        {"separator": ";;"},
        {"separator": '"'},
        {"separator": "a"},
        {"decimal": ";"},
        {"thousands": ".."},
        {"thousands": "5"},
        {"thousands": ","},
        {"encoding": ""},
        {"encoding": "x" * 101},
        {"missing": ["?"] * 101},
        {"missing": ["x" * 101]},
        {"missing": [3]},
        {"names": ["a", "a"]},
        {"names": None},
        {"columns": {"a": {}}},
        {"columns": {"a": {**CellRule().to_json(), "mark": "x" * 101}}},
        {"columns": {"a": {**CellRule().to_json(), "date": "tomorrow"}}},
        {"columns": {"a": {**CellRule().to_json(), "thousands": ","}}},
        {"more": 1},
    ],
    ids=str,
)
def test_a_hostile_reading_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="manifest"):
        Reading.from_json({**GERMAN.to_json(), **change})


def test_the_default_reads_comma_separated_utf8() -> None:
    assert (PLAIN.separator, PLAIN.decimal, PLAIN.thousands, PLAIN.encoding) == (
        ",",
        ".",
        "",
        "utf-8",
    )
