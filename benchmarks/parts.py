"""Time the parts of one prediction in turn.

    python benchmarks/parts.py [--blocks 1500] --out parts.json
    python benchmarks/parts.py --show parts.json

Logistic regression on 20 float64 columns with string labels, and the mixed pipeline of 15 columns.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import measuring
import numpy as np
import reporting

EMPTY = "an empty function"


def measure(blocks: int) -> dict[str, Any]:
    import contenders
    from edge_runtime.inputs.columns import are_finite
    from edge_runtime.inputs.single_row import RowBuffers, row_writer
    from edge_runtime.inputs.tables import InputReader

    def copied(row: Any, slots: RowBuffers) -> bool:
        flat = slots.numbers[0]
        flat[...] = row
        return isfinite(np.vdot(flat, flat))

    results = {}
    subjects = [s for s in contenders.numeric() if s.name == "logistic regression, str"]
    for subject in [*subjects, contenders.mixed()]:
        model, one = subject.model, subject.rows(1)
        names = model.schema.names
        is_array = not hasattr(one, "iloc")
        as_dict = (
            dict(zip(names, one[0].tolist(), strict=True)) if is_array else one.iloc[0].to_dict()
        )
        reader = InputReader(model.schema)
        write, slots = row_writer(reader), RowBuffers(model.schema)
        write(as_dict, slots)
        feeds, _ = reader.feeds(one)
        outputs = model._outputs["predict"]
        by_hand = model._planner.whole_graph_query(outputs).session._session
        narrow = model._planner.query(outputs, ("predict",))
        public = narrow.session._session
        calls: dict[str, Any] = {
            EMPTY: lambda: None,
            "predict_one, dict": lambda m=model, d=as_dict: m.predict_one(d),
            "of it: the border, dict": lambda w=write, d=as_dict, s=slots: w(d, s),
            "session.run, whole graph": lambda s=by_hand, f=feeds: s.run(["predict"], f),
            "session.run, cut graph": lambda s=public, n=narrow.names, f=feeds: s.run(n, f),
            "the same without its checks": lambda q=narrow, f=feeds: q.session.run(q.names, f),
            "predict, one row": lambda m=model, x=one: m.predict(x),
            "the border alone, careful": lambda r=reader, x=one: r.feeds(x),
        }
        if is_array:
            array = np.array(one[0])
            calls["predict_one, array"] = lambda m=model, a=array: m.predict_one(a)
            # The part of the input validation that the fast paths do: single_row.py, batch.py.
            calls["of it: copy and check, array"] = lambda a=array, s=slots: copied(a, s)
            calls["of predict: the check"] = lambda x=one: are_finite(x)
            prediction = np.zeros(1, dtype=np.int64)
            blocks_of = {name: np.array(block) for name, block in feeds.items()}
            calls["of it: the graph, with buffers bound"] = narrow.session.bind(
                blocks_of, {narrow.names[0]: prediction}
            )
        results[subject.name] = measuring.compared(
            measuring.interleaved(calls, blocks=blocks), "predict_one, dict"
        )
    return results


def show(models: dict[str, Any]) -> str:
    lines = [["one row, by parts", "microseconds"]]
    for name, parts in models.items():
        lines.append([f"**{name}**", ""])
        lines += [[part, measuring.cell(figures["us"])] for part, figures in parts.items()]
    return measuring.table(lines)


if __name__ == "__main__":
    reporting.main(__doc__, measure, show, blocks=1500)
