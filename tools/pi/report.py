"""Write the results of `make pi` into docs/arm.md, between its markers.

    python tools/pi/report.py [dist/arm.json]     # keep a new result, and rewrite the page
    python tools/pi/report.py --check             # exit 1 if the page is out of date

An emulator says nothing about time, so the results and the page have no times.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from boards import BOARDS
from comparing import EXACT, MOST_APART

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/arm.md"
RESULT = ROOT / "benchmarks/results/arm.json"
ULP = 2.0**-52

Result = Mapping[str, Any]


def boards(result: Result) -> str:
    """Return the table of boards: versions, models and tests."""
    lines = [["board", "CPU", "Python", "onnxruntime", "numpy", "models", "tests", "hostile files"]]
    for run in result["runs"]:
        board = BOARDS[run["board"]]
        name = board.model.partition(" Rev")[0]
        cpu = board.qemu_cpu.title()
        tests = run["tests"]
        lines.append(
            [
                *(name, cpu, run["python"], run["onnxruntime"], run["numpy"]),
                f"{len(run['models'])} predict",
                *(_outcome(tests["all"]), _outcome(tests["hostile"])),
            ]
        )
    where = result["here"]
    return (
        f"{_table(lines)}\n\nCompared with {where['machine']}: Python {where['python']}, "
        f"onnxruntime {where['onnxruntime']}, numpy {where['numpy']}."
    )


def models(result: Result) -> str:
    """Return the table of the models in models/, on their golden rows."""
    return _by_place(result, ["model", "golden rows"], _models)


def families(result: Result) -> str:
    """Return the table of estimators of each family, on unseen rows."""
    note = (
        f"Promised: the families {', '.join(sorted(EXACT))} to the bit; all others within "
        f"{MOST_APART / ULP:.0f} units."
    )
    return f"{_by_place(result, ['family', 'estimators'], _families)}\n\n{note}"


def skipped(result: Result) -> str:
    """Return the table of skipped tests, with the reasons."""
    reasons: dict[str, int] = {}
    for run in result["runs"]:
        for reason, n in run["tests"]["why_skipped"].items():
            reasons[reason] = max(n, reasons.get(reason, 0))
    lines = [["tests", "why they are skipped on a board"]]
    return _table(lines + [[str(n), reason] for reason, n in sorted(reasons.items())])


def denied(result: Result) -> str:
    """Return the table of onnxruntime 1.21.0, alone and with edge_runtime."""
    lines = [["board", "`import onnxruntime`", "`edge-runtime check`"]]
    for name, outcome in result["denied"].items():
        board = BOARDS[name].model.partition(" Rev")[0]
        lines.append([board, outcome["alone"], outcome["edge_runtime"]])
    return _table(lines)


def threads(result: Result) -> str:
    """Return the table of differences between one thread and two."""
    worst: dict[str, float] = {}
    for run in result["runs"]:
        for name, comparison in run["models"].items():
            family = f"models/{name}" if comparison["family"] == "models" else comparison["family"]
            worst[family] = max(worst.get(family, 0.0), comparison["two_threads"])
    changed = {family: apart for family, apart in worst.items() if apart}
    lines = [["outputs of two threads differ from those of one", "by at most"]]
    return _table(lines + [[family, f"{apart:.1e}"] for family, apart in sorted(changed.items())])


TABLES: Mapping[str, Callable[[Result], str]] = {
    table.__name__: table for table in (boards, models, families, skipped, denied, threads)
}


def render(page: str, result: Result) -> str:
    """Return the page with the tables of *result*."""
    for name, table in TABLES.items():
        before, mark, after = page.partition(f"<!-- {name} -->\n")
        _, end, after = after.partition("<!-- end -->")
        if not (mark and end):
            sys.exit(f"pi: {PAGE.name} has no place for the table {name}")
        page = f"{before}{mark}\n{table(result)}\n\n{end}{after}"
    return page


def main() -> int:
    """Rewrite the page; with --check, return 1 if it is out of date."""
    new_results = [Path(word) for word in sys.argv[1:] if word != "--check"]
    for path in new_results:
        shutil.copyfile(path, RESULT)
    page = PAGE.read_text(encoding="utf-8")
    updated = render(page, json.loads(RESULT.read_text(encoding="utf-8")))
    if "--check" in sys.argv:
        return int(page != updated)
    PAGE.write_text(updated, encoding="utf-8")
    return 0


_Row = tuple[list[str], list[Mapping[str, Any]]]


def _by_place(
    result: Result, titles: list[str], rows: Callable[[Sequence[Mapping[str, Any]]], Iterable[_Row]]
) -> str:
    """Return a table with a row for each model or family, and a column for each board."""
    runs = result["runs"]
    lines = [titles + [f"{run['board']}, {run['python']}" for run in runs]]
    for names, comparisons in rows([run["models"] for run in runs]):
        lines.append(names + [_cell(comparison) for comparison in comparisons])
    return _table(lines)


def _models(of_runs: Sequence[Mapping[str, Any]]) -> Iterable[_Row]:
    for name, comparison in of_runs[0].items():
        if comparison["family"] == "models":
            yield [name, str(comparison["golden_rows"])], [run[name] for run in of_runs]


def _families(of_runs: Sequence[Mapping[str, Any]]) -> Iterable[_Row]:
    members: dict[str, list[str]] = {}
    for name, comparison in of_runs[0].items():
        if comparison["family"] != "models":
            members.setdefault(comparison["family"], []).append(name)
    for family, names in sorted(members.items()):
        yield [family, ", ".join(names)], [_worst([run[n] for n in names]) for run in of_runs]


def _worst(comparisons: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    worst = {
        name: max(comparison[name] for comparison in comparisons) for name in ("ulp", "relative")
    }
    return {**worst, "labels_apart": sum(comparison["labels_apart"] for comparison in comparisons)}


def _cell(comparison: Mapping[str, Any]) -> str:
    if comparison["labels_apart"]:
        return f"**{comparison['labels_apart']} labels differ**"
    if not comparison["ulp"]:
        return "to the bit"
    return f"{comparison['ulp']} ({comparison['relative'] / ULP:.1f})"


def _outcome(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([head, "|" + "---|" * len(lines[0]), *body])


if __name__ == "__main__":
    sys.exit(main())
