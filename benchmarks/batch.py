"""Time batches: predict against a bare session.run, on our graph and on skl2onnx's, in turn.

python benchmarks/batch.py [--blocks 300] --out batch.json
python benchmarks/batch.py --show batch.json
"""

from __future__ import annotations

from typing import Any

import measuring
import reporting

SIZES = (1, 10, 100, 1000, 100_000)
MANY_ROWS = 3000
"""Larger batches get fewer blocks, each with one call."""

OWN = "session.run, our graph"


def measure(blocks: int) -> dict[str, Any]:
    import compiled
    import contenders

    results: dict[str, Any] = {}
    for subject in contenders.numeric():
        results[subject.name] = {}
        for n_rows in SIZES:
            rows, model = subject.rows(n_rows), subject.model
            calls: dict[str, Any] = {
                OWN: contenders.own_graph(subject, n_rows),
                "predict": lambda m=model, x=rows: m.predict(x),
            }
            skl2onnx_call = contenders.skl2onnx_float32(subject, n_rows)
            if skl2onnx_call is not None:
                calls["session.run, skl2onnx float32"] = skl2onnx_call
            if n_rows <= MANY_ROWS:
                calls["scikit-learn"] = lambda e=subject.estimator, x=rows: e.predict(x)
                calls |= compiled.tree_compilers(subject, n_rows) if n_rows == 1000 else {}
            n_blocks = blocks if n_rows <= MANY_ROWS else max(7, blocks // 30)
            samples = measuring.interleaved(calls, blocks=n_blocks)
            results[subject.name][str(n_rows)] = measuring.compared(samples, OWN)
    return results


def show(models: dict[str, Any]) -> str:
    lines = [["batches", *(f"{size:,} rows" for size in SIZES)]]
    for name, sizes in models.items():
        lines.append([f"**{name}**", *("" for _ in SIZES)])
        own = [f"{sizes[str(size)][OWN]['us']['median']:,.0f} us" for size in SIZES]
        lines.append([OWN, *own])
        contenders = dict.fromkeys(key for size in SIZES for key in sizes[str(size)])
        for contender in contenders:
            if contender == OWN:
                continue
            by_size = [sizes[str(size)].get(contender) for size in SIZES]
            lines.append(
                [contender, *("" if f is None else measuring.cell(f["ratio"]) for f in by_size)]
            )
    return measuring.table(lines)


if __name__ == "__main__":
    reporting.main(__doc__, measure, show, blocks=300)
