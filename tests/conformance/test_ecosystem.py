"""docs/ecosystem.md says what export does with the estimators of other libraries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.ecosystem import LIBRARIES, table_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ecosystem.md"

MINIMUM = {
    "imblearn": 20,
    "category_encoders": 21,
    "feature_engine": 46,
    "skrub": 9,
    "mapie": 5,
}
"""Exact estimators; a library's release may add refused ones, but none of these may be lost."""


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_page_tells_what_export_does(library: str) -> None:
    """Every estimator that transforms or predicts is exact, or refused for the page's reason."""
    table = table_of(library).splitlines()
    page = PAGE.read_text(encoding="utf-8")
    exact = sum(line.endswith("| exact |") for line in table)
    assert exact >= MINIMUM[library], "\n".join(table)
    # The versions in the headings are those of the last run of tools/ecosystem.py.
    missing = [line for line in table if line.startswith("| ") and line not in page]
    assert missing == []


def test_the_page_names_the_versions() -> None:
    """A heading for each library has the version that was tested."""
    page = PAGE.read_text(encoding="utf-8")
    for distribution in LIBRARIES.values():
        assert re.search(rf"^## {re.escape(distribution)} \d+\.\d+", page, re.MULTILINE)
