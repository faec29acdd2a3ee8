"""Each claim of the security page names a test that exists."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
THREATS = PAGE.partition("## Threats")[2].partition("\n## ")[0]
ROWS = [line for line in THREATS.splitlines() if line.startswith("| ")][1:]


LINK = re.compile(r"\[([\w.]+)\]\(\.\./(tests/[\w./]+)\): ((?:`\w+`(?:, )?)+)")


def named_tests(row: str) -> list[tuple[str, str]]:
    """Give the tests in the last cell of a row: file and function."""
    cell = row.rstrip("| ").rpartition(" | ")[2]
    return [
        (path, function)
        for name, path, functions in LINK.findall(cell)
        for function in re.findall(r"\w+", functions)
        if path.endswith(f"/{name}")
    ]


def exists(path: str, function: str) -> bool:
    """Whether a test file has a function of this name."""
    file = ROOT / path
    return file.is_file() and f"\ndef {function}(" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_every_claim_names_tests_that_exist(row: str) -> None:
    tests = named_tests(row)
    assert tests, f"this claim names no test: {row}"
    assert [test for test in tests if not exists(*test)] == []


def test_a_claim_without_a_test_would_be_noticed() -> None:
    assert len(ROWS) > 20
    assert named_tests("| nobody | damage | SHA-256 | the same file |") == []
    invented = "| nobody | damage | SHA | [test_x.py](../tests/x/test_x.py): `test_a`, `test_b` |"
    assert named_tests(invented) == [
        ("tests/x/test_x.py", "test_a"),
        ("tests/x/test_x.py", "test_b"),
    ]
    assert not exists("tests/x/test_x.py", "test_a")
    assert not exists("tests/promises/test_security_page.py", "test_that_nobody_wrote")
    assert exists("tests/promises/test_security_page.py", "test_the_policy_links_to_the_page")


def test_the_picture_is_there_and_readable_in_light_and_dark() -> None:
    assert "](threat-model.svg)" in PAGE
    picture = (ROOT / "docs/threat-model.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(picture)
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert "prefers-color-scheme: dark" in picture


def test_the_policy_links_to_the_page() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/security.md" in policy
    assert "Report a vulnerability" in policy
