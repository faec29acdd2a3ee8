"""docs/estimators.md: written from what the conformance cases measured.

``python -m conformance.table``, in ``tests/``, measures everything and writes the page.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conformance.cases import VARIANTS, fitted, names

TABLE = Path("docs/estimators.md")

EXACT = 1e-9
"""Largest difference allowed, relative to the largest magnitude of an answer."""

EXCEPTIONS: dict[str, str] = {
    "DummyClassifier-1": (
        "strategy='stratified' draws a random number for each row at prediction: the answer is not "
        "a function of the row (every other strategy but 'uniform' converts)"
    ),
    "PatchExtractor-1": (
        "one image becomes many rows: no row of the answer belongs to a row of the question"
    ),
}
"""Instance to the mathematical reason why no graph can answer as it does."""

UNDETERMINED: dict[tuple[str, str], str] = {
    ("GaussianProcessClassifier-1", "tiny"): "its sum over training rows is rounding alone",
    ("GaussianProcessRegressor-1", "tiny"): "its sum over training rows is rounding alone",
    ("KernelDensity-1", "huge"): (
        "scikit-learn subtracts bounds of the size of the whole sum, and keeps their rounding"
    ),
    ("Nystroem-1", "one feature"): "its kernel matrix is singular: eight digits are left",
    ("Nystroem-1", "tiny"): "its kernel matrix is all ones but for rounding",
    ("RBFSampler-1", "huge"): "the cosine of 1e9 turns a last bit of the sum into the eighth digit",
}
"""Instance and variant to the reason why scikit-learn's own answer there is not determined: another
batch size, number of threads or CPU changes it by more than ``EXACT``."""

_HEAD = """# Estimators

Written by `python -m conformance.table` in `tests/` from what tests/conformance measured: every
estimator that scikit-learn itself tests, fitted on data with gaps where it allows gaps, exported,
loaded with edge_runtime and asked on rows that training did not see
({variants}).

*Worst difference* is relative to the largest magnitude of an answer, rounded up to a power of ten,
over all methods and variants; labels, integers and booleans are equal everywhere. *Evidence* is
the weakest level among the outputs on ordinary data ([proof.md](proof.md) tells the levels). *How*
names the module of `edge_pipeline.conversion.estimators` that converts it.

{count}

| estimator | methods | worst difference | evidence | how |
|---|---|---|---|---|
"""

_ROW = re.compile(r"\| (\w+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|")


def read_table(path: Path) -> dict[str, tuple[str, ...]]:
    """Estimator to the cells of its row."""
    rows = (_ROW.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {row[1]: row.groups() for row in rows if row and row[1] != "estimator"}


def rendered(results: Iterable[dict[str, Any]]) -> str:
    """The page, from the measured lines."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_kind.setdefault(result["name"].rsplit("-", 1)[0], []).append(result)
    lines, exact = [], 0
    for kind, measured in sorted(by_kind.items()):
        reason = next((EXCEPTIONS[r["name"]] for r in measured if r["name"] in EXCEPTIONS), "")
        unsure = [r for r in measured if _key(r) in UNDETERMINED]
        asked = [r for r in measured if r["name"] not in EXCEPTIONS and _key(r) not in UNDETERMINED]
        gaps = [gap for r in asked for gap in r.get("methods", {}).values()]
        methods = dict.fromkeys(m for r in asked for m in r.get("methods", {}))
        good = bool(gaps) and max(gaps) <= EXACT and not any("error" in r for r in asked)
        exact += good
        worst = _rounded_up(max(gaps)) if good else "DIFFERS" if asked else "not converted"
        notes = [f"not compared on {r['variant']} data: {UNDETERMINED[_key(r)]}" for r in unsure]
        how = "; ".join(filter(None, [_how(asked[0]) if asked else "", reason, *notes]))
        level = asked[0].get("level", "") if asked else ""
        lines.append(f"| {kind} | {', '.join(methods)} | {worst} | {level} | {how} |")
    count = f"{exact} of {len(by_kind)} classes, {len(names())} instances."
    return _HEAD.format(variants=", ".join(VARIANTS), count=count) + "\n".join(lines) + "\n"


def _key(result: dict[str, Any]) -> tuple[str, str]:
    return result["name"], result.get("variant", "")


def _rounded_up(gap: float) -> str:
    return "0" if gap == 0 else f"1e{math.ceil(math.log10(gap))}"


def _how(result: dict[str, Any]) -> str:
    from edge_pipeline.conversion.registry import converters_of

    methods = converters_of(fitted(result["name"]).estimator)
    if not methods:
        return "skl2onnx"
    return next(iter(methods.values())).__module__.rsplit(".", 1)[-1]


def measured_alone(name: str) -> list[dict[str, Any]]:
    """Every variant of one estimator, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "conformance.one", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines] or [{"name": name, "error": done.stderr[-300:]}]


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as pool:
        found = [line for lines in pool.map(measured_alone, names()) for line in lines]
    page = Path(__file__).resolve().parents[2] / TABLE
    page.write_text(rendered(found), encoding="utf-8")
    for line in found:
        if "error" in line or max(line.get("methods", {"": 0.0}).values()) > EXACT:
            print(json.dumps(line))
