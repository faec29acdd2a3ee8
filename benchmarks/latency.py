"""Time one row: predict_one, a bare session.run, scikit-learn and compiled trees, in turn.

python benchmarks/latency.py [--blocks 1500] --out latency.json
python benchmarks/latency.py --show latency.json
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import measuring
import numpy as np
import reporting

BASE = "session.run, skl2onnx float32"
OWN = "session.run, our graph"


def measure(blocks: int) -> dict[str, Any]:
    import compiled
    import contenders

    results = {}
    for subject in chain(contenders.numeric(), [contenders.mixed()], contenders.recipes()):
        model, one = subject.model, subject.rows(1)
        calls: dict[str, Any] = {OWN: contenders.own_graph(subject, 1)}
        skl2onnx_call = contenders.skl2onnx_float32(subject, 1)
        if skl2onnx_call is not None:
            calls[BASE] = skl2onnx_call
        as_dict = one.iloc[0].to_dict() if hasattr(one, "iloc") else None
        if as_dict is None:
            array = np.array(one[0])
            calls["predict_one, array"] = lambda m=model, a=array: m.predict_one(a)
            as_dict = dict(zip(model.schema.names, array.tolist(), strict=True))
        calls["predict_one, dict"] = lambda m=model, d=as_dict: m.predict_one(d)
        if hasattr(model, "predict_proba"):
            calls["predict_proba_one, dict"] = lambda m=model, d=as_dict: m.predict_proba_one(d)
        calls["scikit-learn"] = lambda e=subject.estimator, x=one: e.predict(x)
        calls |= compiled.tree_compilers(subject, 1) | compiled.code_generators(subject)
        samples = measuring.interleaved(calls, blocks=blocks)
        base = BASE if skl2onnx_call is not None else OWN
        figures = measuring.compared(samples, base)
        ratio = measuring.ratios(samples, "scikit-learn", "predict_one, dict")
        results[subject.name] = {
            "base": base,
            "contenders": figures,
            "scikit_learn_over_ours": measuring.spread(ratio),
        }
    return results


def show(models: dict[str, Any]) -> str:
    lines = [["one row", "microseconds", "ratio to session.run"]]
    for name, model in models.items():
        faster = model["scikit_learn_over_ours"]
        lines.append([f"**{name}**", "", f"scikit-learn / ours {faster['median']:.0f}"])
        for contender, figures in model["contenders"].items():
            is_base = contender == model["base"]
            ratio = "1, by definition" if is_base else measuring.cell(figures["ratio"])
            lines.append([contender, measuring.cell(figures["us"]), ratio])
    return measuring.table(lines)


if __name__ == "__main__":
    reporting.main(__doc__, measure, show, blocks=1500)
