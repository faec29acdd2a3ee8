"""The command line that the benchmarks share: measure and print JSON, or show a file's table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring

PACKAGES = (
    *("edge-runtime", "onnxruntime", "numpy", "scikit-learn", "skl2onnx"),
    *("treelite", "tl2cgen", "m2cgen"),
)

INTERLEAVED = "Median (10th-90th percentile) of {blocks} interleaved blocks."
"""How most of them measure."""


def main(
    doc: str,
    measure: Callable[[int], Any],
    show: Callable[[Any], str],
    *,
    blocks: int,
    how: str = INTERLEAVED,
) -> None:
    """Run a benchmark of *blocks* repetitions, or print the table of a finished one."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--show", metavar="JSON", type=Path, help="print a file's table")
    parser.add_argument("--blocks", type=int, default=blocks, help=f"repetitions ({blocks})")
    parser.add_argument("--out", metavar="JSON", type=Path, help="write here, not to stdout")
    chosen = parser.parse_args()
    if chosen.show:
        print(page(json.loads(chosen.show.read_text(encoding="utf-8")), show))
        return
    figures = measure(chosen.blocks)
    run = {
        "machine": measuring.machine(),
        "versions": measuring.versions(*PACKAGES),
        "blocks": chosen.blocks,
        "how": how.format(blocks=chosen.blocks),
        "figures": figures,
    }
    text = json.dumps(run, indent=1) + "\n"
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def page(run: dict[str, Any], show: Callable[[Any], str]) -> str:
    """A run's table, and below it what is needed to judge it."""
    if "blocks" not in run:  # sizes do not vary
        return show(run["figures"])
    where = run["machine"]
    named = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    how = run.get("how") or INTERLEAVED.format(blocks=run["blocks"])
    note = (
        f"{how} {where['processor']}, {where['cores']} cores shared with other work (load average "
        f"{where['load_average']}), {where['memory_gb']} GB, {where['system']}; "
        f"Python {where['python']}, {named}."
    )
    return f"{show(run['figures'])}\n\n{note}"
