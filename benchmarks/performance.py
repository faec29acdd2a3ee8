"""Put the tables of benchmarks/results into the pages of docs, between markers.

python benchmarks/performance.py            # rewrite the pages
python benchmarks/performance.py --check    # 1 when a page shows other figures
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import against_skl2onnx
import batch
import cold_start
import export_scaling
import footprint
import latency
import memory
import memory_limit
import parts
import reporting

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results"
Tables = Mapping[str, Callable[[Any], str]]
TABLES: Tables = {
    "latency": latency.show,
    "batch": batch.show,
    "cold_start": cold_start.show,
    "memory": memory.show,
    "footprint": footprint.show,
    "parts": parts.show,
}
PAGES: Mapping[Path, Tables] = {
    ROOT / "docs/performance.md": TABLES,
    ROOT / "docs/exactness.md": {"convert": against_skl2onnx.show},
    ROOT / "docs/export-cost.md": {"export_scaling": export_scaling.show},
    ROOT / "docs/memory.md": {"memory_limit": memory_limit.show},
}


def rendered(path: Path) -> str:
    """Return the page with the tables of the newest results."""
    page = path.read_text(encoding="utf-8")
    for name, show in PAGES[path].items():
        run = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        table = reporting.page(run, show)
        before, mark, after = page.partition(f"<!-- {name} -->\n")
        _, end, after = after.partition("<!-- end -->")
        if not (mark and end):
            sys.exit(f"edge: {path.name} has no place for the table {name}")
        page = f"{before}{mark}\n{table}\n\n{end}{after}"
    return page


def main() -> int:
    pages = {path: rendered(path) for path in PAGES}
    if "--check" in sys.argv:
        return int(any(path.read_text(encoding="utf-8") != page for path, page in pages.items()))
    for path, page in pages.items():
        path.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
