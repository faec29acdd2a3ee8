"""docs/kit.md lists the files that a slim kit leaves out, and the measured sizes."""

import re
import subprocess
import sys
from pathlib import Path

from edge_pipeline.packaging.kit.slim_wheels import PRUNED


def test_the_page_lists_every_pruned_pattern_with_its_reason(
    root: Path,
) -> None:
    page = (root / "docs/kit.md").read_text(encoding="utf-8")
    table = page.partition("<!-- pruned -->")[2].partition("<!-- end -->")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.MULTILINE)
    assert rows == [item for pruning in PRUNED.values() for item in pruning.removed.items()]


def test_the_page_shows_the_figures_that_the_benchmark_wrote(root: Path) -> None:
    script, figures = root / "benchmarks/slim.py", root / "benchmarks/results/slim.json"
    process = subprocess.run(
        [sys.executable, script, "--show", figures], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() in (root / "docs/kit.md").read_text(encoding="utf-8")
