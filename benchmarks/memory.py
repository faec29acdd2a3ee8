"""Measure memory growth over a million single predictions and 10,000 batches of changing size.

    .venv-device/bin/python benchmarks/memory.py [--blocks 10] --out memory.json
    python benchmarks/memory.py --show memory.json

Each block makes 100,000 single predictions and 1,000 batches of 1 to 3,000 rows, then reads the
resident memory of the process.  The slope is a line fitted to all blocks but the first.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import measuring
import reporting

ROOT = Path(__file__).resolve().parent.parent
SINGLES, BATCHES, MAX_ROWS = 100_000, 1000, 3000


def measure(blocks: int) -> dict[str, Any]:
    import numpy as np

    import edge_runtime

    results = {}
    for name, width in (("linear", 1), ("digits", 64)):
        random.seed(0)
        rows = np.random.default_rng(0).normal(size=(MAX_ROWS, width))
        memory_mb = []
        with edge_runtime.load(ROOT / f"dist/{name}.onnx") as model:
            model.warm_up()
            for _ in range(blocks):
                for i in range(SINGLES):
                    model.predict_one(rows[i % MAX_ROWS])
                for _ in range(BATCHES):
                    model.predict(rows[: random.randint(1, MAX_ROWS)])
                memory_mb.append(resident_mb())
        results[name] = {
            "held_mb": memory_mb,
            "single_predictions": SINGLES * blocks,
            "batches": BATCHES * blocks,
            "slope_kb_a_block": round(1024 * slope(memory_mb[1:]), 2),
        }
    return results


def resident_mb() -> float:
    """Read the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 3)


def slope(values: list[float]) -> float:
    """Compute the slope of the least-squares line."""
    middle = (len(values) - 1) / 2
    above = sum((i - middle) * value for i, value in enumerate(values))
    return above / sum((i - middle) ** 2 for i in range(len(values)))


def show(models: dict[str, Any]) -> str:
    lines = [["long life", "single", "batches", "first, MB", "last, MB", "slope, KB a block"]]
    for name, figures in models.items():
        memory_mb = figures["held_mb"]
        lines.append(
            [
                f"models/{name}",
                f"{figures['single_predictions']:,}",
                f"{figures['batches']:,}",
                f"{memory_mb[0]:.1f}",
                f"{memory_mb[-1]:.1f}",
                f"{figures['slope_kb_a_block']:.1f}",
            ]
        )
    return measuring.table(lines)


if __name__ == "__main__":
    reporting.main(__doc__, measure, show, blocks=10)
