"""Long life: a million single predictions and 10,000 batches of changing size, and what they leave.

    .venv-device/bin/python benchmarks/memory.py [--blocks 10] --out memory.json
    python benchmarks/memory.py --show memory.json

Every block makes 100,000 single predictions and 1,000 batches of 1 to 3,000 rows, then looks at the
memory that the process holds.  The slope is the line through the blocks after the first.
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

    found = {}
    for name, width in (("linear", 1), ("digits", 64)):
        random.seed(0)
        rows = np.random.default_rng(0).normal(size=(MAX_ROWS, width))
        held = []
        with edge_runtime.load(ROOT / f"dist/{name}.onnx") as model:
            model.warm_up()
            for _ in range(blocks):
                for i in range(SINGLES):
                    model.predict_one(rows[i % MAX_ROWS])
                for _ in range(BATCHES):
                    model.predict(rows[: random.randint(1, MAX_ROWS)])
                held.append(resident_mb())
        found[name] = {
            "held_mb": held,
            "single_predictions": SINGLES * blocks,
            "batches": BATCHES * blocks,
            "slope_kb_a_block": round(1024 * slope(held[1:]), 2),
        }
    return found


def resident_mb() -> float:
    """What the process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 3)


def slope(values: list[float]) -> float:
    """Of the straight line that fits best."""
    middle = (len(values) - 1) / 2
    above = sum((i - middle) * value for i, value in enumerate(values))
    return above / sum((i - middle) ** 2 for i in range(len(values)))


def show(models: dict[str, Any]) -> str:
    lines = [["long life", "single", "batches", "first, MB", "last, MB", "slope, KB a block"]]
    for name, figures in models.items():
        held = figures["held_mb"]
        lines.append(
            [
                f"models/{name}",
                f"{figures['single_predictions']:,}",
                f"{figures['batches']:,}",
                f"{held[0]:.1f}",
                f"{held[-1]:.1f}",
                f"{figures['slope_kb_a_block']:.1f}",
            ]
        )
    return measuring.table(lines)


if __name__ == "__main__":
    reporting.main(__doc__, measure, show, blocks=10)
