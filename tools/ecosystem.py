"""Write the tables of docs/ecosystem.md again, from what export does with every estimator.

python tools/ecosystem.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "ecosystem.md"
START = "<!-- tables: python tools/ecosystem.py -->\n"


def main() -> None:
    """Replace everything after the mark by the tables of all libraries."""
    sys.path.insert(0, str(ROOT / "tests"))
    from conformance.ecosystem import LIBRARIES, table_of

    text = PAGE.read_text(encoding="utf-8").partition(START)[0]
    tables = "\n".join(table_of(library) for library in LIBRARIES)
    PAGE.write_text(text + START + "\n" + tables, encoding="utf-8")


if __name__ == "__main__":
    main()
