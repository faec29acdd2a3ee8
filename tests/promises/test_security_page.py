"""Each claim of the security page names a test that exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
THREATS = PAGE.partition("## Threats")[2].partition("\n## ")[0]
ROWS = [line for line in THREATS.splitlines() if line.startswith("| ")][1:]


def test_every_threat_has_a_test() -> None:
    """A link to a test file, or "the same" for one that an earlier row links to."""
    assert len(ROWS) > 15
    for row in ROWS:
        test = row.rstrip("| ").rpartition("|")[2]
        names = re.findall(r"\[(?:tests/)?([\w.]+)\]\((\.\./tests/[\w./]+)\)", test)
        for _, link in names:
            assert (ROOT / "docs" / link).resolve().exists(), link
        assert names or "same" in test, row


def test_the_policy_links_to_the_page() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/security.md" in policy
    assert "Report a vulnerability" in policy
