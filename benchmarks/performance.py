"""Put the tables of benchmarks/results into docs/performance.md, between their markers.

python benchmarks/performance.py            # rewrite the page
python benchmarks/performance.py --check    # 1 when the page shows other figures
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import batch
import cold_start
import convert
import footprint
import latency
import memory
import memory_limit
import parts
import reporting

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
RESULTS = ROOT / "benchmarks/results"
TABLES = {
    "latency": latency.show,
    "batch": batch.show,
    "convert": convert.show,
    "cold_start": cold_start.show,
    "memory": memory.show,
    "footprint": footprint.show,
    "memory_limit": memory_limit.show,
    "parts": parts.show,
}


def rendered(page: str) -> str:
    """The page with the tables of the newest results."""
    for name, show in TABLES.items():
        run = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        table = reporting.page(run, show)
        before, mark, after = page.partition(f"<!-- {name} -->\n")
        _, end, after = after.partition("<!-- end -->")
        if not (mark and end):
            sys.exit(f"edge: {PAGE.name} has no place for the table {name}")
        page = f"{before}{mark}\n{table}\n\n{end}{after}"
    return page


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    wanted = rendered(page)
    if "--check" in sys.argv:
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
