"""Write docs/estimators.md from the measurements of the conformance cases.

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
"""Largest difference allowed, relative to the largest magnitude of an output."""

EXCEPTIONS: dict[str, str] = {
    "DummyClassifier-1": (
        "strategy='stratified' draws a random number for each row at prediction: the answer is not "
        "a function of the row (every other strategy but 'uniform' converts)"
    ),
    "PatchExtractor-1": (
        "one image becomes many rows: no row of the answer belongs to a row of the question"
    ),
}
"""Instance to the mathematical reason why no graph can predict as it does."""

AMBIGUOUS: dict[tuple[str, str], str] = {
    ("GaussianProcessClassifier-1", "tiny"): "its sum over training rows is rounding alone",
    ("GaussianProcessRegressor-1", "tiny"): "its sum over training rows is rounding alone",
    ("KernelDensity-1", "huge"): (
        "scikit-learn subtracts bounds of the size of the whole sum, and keeps their rounding"
    ),
    ("Nystroem-1", "one feature"): "its kernel matrix is singular: eight digits are left",
    ("Nystroem-1", "tiny"): "its kernel matrix is all ones but for rounding",
    ("RBFSampler-1", "huge"): "the cosine of 1e9 turns a last bit of the sum into the eighth digit",
}
"""Instance and variant to the reason why scikit-learn's own prediction there is ambiguous: another
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
    """Read the table: estimator to the cells of its row."""
    rows = (_ROW.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {row[1]: row.groups() for row in rows if row and row[1] != "estimator"}


def render(results: Iterable[dict[str, Any]]) -> str:
    """Render the page from the measurements."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_kind.setdefault(result["name"].rsplit("-", 1)[0], []).append(result)
    lines, exact = [], 0
    for kind, measurements in sorted(by_kind.items()):
        reason = next((EXCEPTIONS[r["name"]] for r in measurements if r["name"] in EXCEPTIONS), "")
        unsure = [r for r in measurements if _key(r) in AMBIGUOUS]
        compared = [
            r for r in measurements if r["name"] not in EXCEPTIONS and _key(r) not in AMBIGUOUS
        ]
        differences = [value for r in compared for value in r.get("methods", {}).values()]
        methods = dict.fromkeys(m for r in compared for m in r.get("methods", {}))
        has_error = any("error" in r for r in compared)
        is_exact = bool(differences) and max(differences) <= EXACT and not has_error
        exact += is_exact
        failure = "DIFFERS" if compared else "not converted"
        worst = _rounded_up(max(differences)) if is_exact else failure
        notes = [f"not compared on {r['variant']} data: {AMBIGUOUS[_key(r)]}" for r in unsure]
        how = "; ".join(filter(None, [_how(compared[0]) if compared else "", reason, *notes]))
        level = compared[0].get("level", "") if compared else ""
        lines.append(f"| {kind} | {', '.join(methods)} | {worst} | {level} | {how} |")
    count = f"{exact} of {len(by_kind)} classes, {len(names())} instances."
    return _HEAD.format(variants=", ".join(VARIANTS), count=count) + "\n".join(lines) + "\n"


def _key(result: dict[str, Any]) -> tuple[str, str]:
    return result["name"], result.get("variant", "")


def _rounded_up(difference: float) -> str:
    return "0" if difference == 0 else f"1e{math.ceil(math.log10(difference))}"


def _how(result: dict[str, Any]) -> str:
    from edge_pipeline.conversion.registry import converters_of

    methods = converters_of(fitted(result["name"]).estimator)
    if not methods:
        return "skl2onnx"
    return next(iter(methods.values())).__module__.rsplit(".", 1)[-1]


def measure_in_process(name: str) -> list[dict[str, Any]]:
    """Measure every variant of one estimator, in a new process."""
    command = [sys.executable, "-W", "ignore", "-m", "conformance.one", name]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = [line for line in process.stdout.splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines] or [{"name": name, "error": process.stderr[-300:]}]


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as pool:
        results = [line for lines in pool.map(measure_in_process, names()) for line in lines]
    page = Path(__file__).resolve().parents[2] / TABLE
    page.write_text(render(results), encoding="utf-8")
    for line in results:
        if "error" in line or max(line.get("methods", {"": 0.0}).values()) > EXACT:
            print(json.dumps(line))
