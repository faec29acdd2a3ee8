"""Provide the command line of the benchmarks: measure and print JSON, or show a table."""

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
"""The method of most benchmarks, for the note below a table."""


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
    options = parser.parse_args()
    if options.show:
        print(page(json.loads(options.show.read_text(encoding="utf-8")), show))
        return
    figures = measure(options.blocks)
    run = {
        "machine": measuring.machine(),
        "versions": measuring.versions(*PACKAGES),
        "blocks": options.blocks,
        "how": how.format(blocks=options.blocks),
        "figures": figures,
    }
    text = json.dumps(run, indent=1) + "\n"
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def page(run: dict[str, Any], show: Callable[[Any], str]) -> str:
    """Write a run's table, with a note on method, machine and versions."""
    if "blocks" not in run:  # sizes do not vary
        return show(run["figures"])
    machine = run["machine"]
    version_list = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    how = run.get("how") or INTERLEAVED.format(blocks=run["blocks"])
    note = (
        f"{how} {machine['processor']}, {machine['cores']} cores shared with other work "
        f"(load average {machine['load_average']}), {machine['memory_gb']} GB, "
        f"{machine['system']}; Python {machine['python']}, {version_list}."
    )
    return f"{show(run['figures'])}\n\n{note}"
