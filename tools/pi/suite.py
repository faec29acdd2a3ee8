"""Test models and the device on emulated Raspberry Pis; `make pi` runs it.

    python tools/pi/suite.py WHEEL --models dist [--quick] [--only 4:3.11 ...] [--out JSON]

On every board it predicts the golden rows of every model, and compares an estimator of each family
with this machine.  It runs the tests of the device, hostile files included, and tries the denied
onnxruntime.  Exits with 1 when something fails.  Where no board can be emulated it prints SKIPPED
and exits with 0, or with 1 when PI_REQUIRED=1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from boards import BOARDS
from comparing import broken_promises, compare
from environments import PI, PLACE, ROOT, environment, illegal, site
from roots import UnavailableError

PLACES = ("zero2:3.11", "4:3.11", "5:3.11", "4:3.13")
QUICK_PLACES = ("zero2:3.11",)
QUICK_TESTS = (
    "tests/device/graph_safety/test_rules.py",
    "tests/device/bundle/test_manifest.py",
    "tests/device/inputs/test_tables.py",
    "tests/device/engine/test_prune_outputs.py",
    "tests/device/test_onnxruntime_versions.py",
)
TESTS = ("tests/device", "tests/fuzz")
HOSTILE = ("test_rules", "test_isolation", "test_fuzz")
"""Test modules with hostile files."""

SECONDS = 5400
QUICK_SECONDS = 300
"""Time limit of a step, several times what it takes; a slower board is skipped."""


@dataclass(frozen=True)
class Place:
    """A board with a Python, and the environment of the device's code."""

    board: str
    python: str
    venv: Path
    plain: bool
    seconds: int

    def run(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the board's Python with *arguments*, in the repository's folder."""
        call: list[str | Path] = [PI, "--board", self.board, "--python", self.python]
        inside = {"EDGE_EMULATED": "1", "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
        if self.plain:
            paths = [inside.get("PYTHONPATH"), str(site(self.venv, self.python))]
            inside["PYTHONPATH"] = ":".join(filter(None, paths))
        for name, value in inside.items():
            call += ["--env", f"{name}={value}"]
        python: list[str | Path] = ["--mode", "plain", "python3"]
        if not self.plain:
            python = ["--mode", "namespaces", self.venv / "bin/python"]
        return _run([*call, *python, *arguments], self.seconds)


def main() -> int:
    """Test every board; return 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="of edge-runtime")
    parser.add_argument("--models", type=Path, default=ROOT / "dist", help="folder of bundles")
    parser.add_argument("--families", type=Path, help="folder for an estimator of each family")
    parser.add_argument("--only", nargs="+", default=None, metavar="BOARD:PYTHON")
    parser.add_argument("--quick", action="store_true", help="one board, few tests")
    parser.add_argument("--jobs", type=int, default=2, help="boards at once")
    parser.add_argument("--out", type=Path, help="write JSON here")
    arguments = parser.parse_args()
    names = arguments.only or (QUICK_PLACES if arguments.quick else PLACES)
    try:
        seconds = QUICK_SECONDS if arguments.quick else SECONDS
        places = [_place(name, arguments.wheel, seconds) for name in names]
        folders = [arguments.models]
        if arguments.families:
            folders.append(_export_families(arguments.families))
        here = _predict([sys.executable], folders)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            runs = list(
                pool.map(lambda place: _test_board(place, folders, here, arguments.quick), places)
            )
        denied = {} if arguments.quick else _denied(places[0].python, places)
    except UnavailableError as error:
        return _skipped(str(error))
    report = {
        "here": {k: v for k, v in here.items() if k != "models"},
        "runs": runs,
        "denied": denied,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    failed = _print_results(runs, denied)
    if any(place.plain for place in places):
        return max(failed, _skipped("no namespaces here: only golden rows were predicted"))
    return int(failed)


def _print_results(runs: Sequence[Mapping[str, Any]], denied: Mapping[str, Any]) -> bool:
    """Print the result of every board; return whether one failed."""
    failed = [f"{run['board']}, {run['python']}: {line}" for run in runs for line in run["failed"]]
    failed += [line for outcome in denied.values() for line in outcome["failed"]]
    for run in runs:
        print(_line(run))
    for line in failed:
        print(f"pi: FAILED: {line}", file=sys.stderr)
    return bool(failed)


def _skipped(reason: str) -> int:
    required = os.environ.get("PI_REQUIRED") == "1"
    line = f"pi: SKIPPED: {reason}"
    print(f"{'=' * 78}\n{line}\npi: the device's tests did not run on ARM instructions\n{'=' * 78}")
    if required:
        print("pi: PI_REQUIRED=1, so this is a failure", file=sys.stderr)
    return int(required)


def _place(name: str, wheel: Path, seconds: int) -> Place:
    """Choose how to emulate a board here, and make its environment.

    Raises
    ------
    UnavailableError
        The board cannot be emulated.
    """
    board, _, python = name.partition(":")
    call: list[str | Path] = [PI, "--board", board, "--python", python, "--mode"]
    whole = _run([*call, "namespaces", "sh", "-c", "true"])
    plain = whole.returncode != 0
    if plain:
        probe = _run([*call, "plain", "python3", "-c", "import ctypes"])
        if probe.returncode:
            raise UnavailableError(whole.stderr.strip() or probe.stderr.strip())
    return Place(board, python, environment(python, wheel), plain, seconds)


def _export_families(folder: Path) -> Path:
    """Export an estimator of each family to *folder*."""
    print("pi: an estimator of each family, made here", file=sys.stderr)
    process = _run([sys.executable, Path(__file__).with_name("families.py"), folder.absolute()])
    if process.returncode:
        raise RuntimeError(f"families.py failed: {process.stderr[-2000:]}")
    return folder


def _test_board(
    place: Place, folders: Sequence[Path], here: Mapping[str, Any], quick: bool
) -> dict[str, Any]:
    run: dict[str, Any] = {"board": place.board, "python": place.python, "failed": []}
    _say(place, "golden rows and families")
    there = _predict(place, folders)
    run.update({name: there[name] for name in ("machine", "numpy", "onnxruntime")})
    run["models"] = {}
    for name, model in there["models"].items():
        if "error" in model:
            run["failed"].append(f"{name}: {model['error']}")
            continue
        comparison = _compare_model(name, model, here["models"][name], folders)
        run["models"][name] = comparison
        run["failed"] += [f"{name}: {line}" for line in broken_promises(comparison)]
    if not place.plain:
        _say(place, "tests")
        run["tests"] = _run_tests(place, QUICK_TESTS if quick else TESTS, run["failed"])
    return run


def _predict(where: Place | list[str], folders: Sequence[Path]) -> dict[str, Any]:
    script = [ROOT / "tools/pi/answers.py", *(folder.absolute() for folder in folders)]
    process = where.run(*script) if isinstance(where, Place) else _run([*where, *script])
    if process.returncode:
        raise RuntimeError(f"answers.py failed: {process.stderr[-2000:]}")
    answers: dict[str, Any] = json.loads(process.stdout)
    return answers


def _compare_model(
    name: str, there: Mapping[str, Any], here: Mapping[str, Any], folders: Sequence[Path]
) -> dict[str, Any]:
    """Compare a model's outputs on the board with those here and with scikit-learn's labels."""
    files = [folder / f"{name}.rows.json" for folder in folders]
    reference: dict[str, Any] = {"family": "models", "labels": None}
    for file in filter(Path.exists, files):
        reference = json.loads(file.read_text(encoding="utf-8"))
    comparison = {"family": reference["family"], "golden_rows": there["golden_rows"]}
    comparison.update(compare(here["answers"], there["answers"]))
    if reference["labels"] is not None:
        labels = there["answers"]["predict"]["labels"]
        comparison["labels_apart"] += sum(
            a != b for a, b in zip(labels, reference["labels"], strict=True)
        )
    one_thread = {method: there["answers"][method] for method in there["two_threads"]}
    comparison["two_threads"] = compare(one_thread, there["two_threads"])["relative"]
    return comparison


def _run_tests(place: Place, tests: Sequence[str], failed: list[str]) -> dict[str, Any]:
    process = place.run(ROOT / "tools/prove_bare.py")
    if process.returncode:
        failed.append(f"not a bare device: {process.stderr.strip()}")
    report = PLACE / f"tests-{place.board}-{place.python}.xml"
    report.unlink(missing_ok=True)
    options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    process = place.run("-m", "pytest", *options, *tests)
    if process.returncode or not report.exists():
        failed.append(f"tests: {process.stdout[-4000:]}{process.stderr[-1000:]}")
    return _count_outcomes(report) if report.exists() else {}


def _count_outcomes(report: Path) -> dict[str, Any]:
    """Count test outcomes, also of hostile files alone, and the reasons of skipped tests."""
    every: dict[str, Counter[str]] = {"all": Counter(), "hostile": Counter()}
    reasons: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        outcome = "passed"
        for kind, name in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            element = case.find(kind)
            if element is not None:
                outcome = name
                if name == "skipped":
                    reasons[str(element.get("message"))] += 1
        every["all"][outcome] += 1
        if case.get("classname", "").rpartition(".")[2] in HOSTILE:
            every["hostile"][outcome] += 1
    return {**{name: dict(counts) for name, counts in every.items()}, "why_skipped": dict(reasons)}


def _denied(python: str, places: Sequence[Place]) -> dict[str, Any]:
    """Import the denied onnxruntime on each board, alone and through edge_runtime."""
    if places[0].plain:
        return {}
    paths = {"PYTHONPATH": str(illegal(python))}
    outcomes: dict[str, Any] = {}
    for board in BOARDS:
        place = replace(places[0], board=board)
        _say(place, "the denied onnxruntime")
        alone = place.run("-c", "import onnxruntime", environment=paths)
        model = next((ROOT / "dist").glob("*.onnx"))
        ours = place.run("-m", "edge_runtime.cli", "check", model, environment=paths)
        ended = alone.returncode in (-signal.SIGILL, 128 + signal.SIGILL)
        outcome = "SIGILL" if ended else "runs" if alone.returncode == 0 else "fails"
        failed = []
        if outcome != ("runs" if "asimdhp" in BOARDS[board].features else "SIGILL"):
            failed.append(f"{board}: import onnxruntime 1.21.0: {outcome}: {alone.stderr[-300:]}")
        if ours.returncode != 1 or "onnxruntime 1.21.0" not in ours.stderr:
            failed.append(f"{board}: edge-runtime did not refuse it: {ours.stderr[-300:]}")
        outcomes[board] = {"alone": outcome, "edge_runtime": ours.stderr.strip(), "failed": failed}
    return outcomes


def _line(run: Mapping[str, Any]) -> str:
    tests = run.get("tests", {})
    outcomes = ", ".join(f"{n} {name}" for name, n in tests.get("all", {}).items())
    return (
        f"board {run['board']}, Python {run['python']}, onnxruntime {run['onnxruntime']}: "
        f"{len(run['models'])} models predict their golden rows; tests: {outcomes or 'not run'}"
        f"{'; FAILED' if run['failed'] else ''}"
    )


def _say(place: Place, step: str) -> None:
    print(f"pi: board {place.board}, Python {place.python}: {step}", file=sys.stderr)


def _run(call: Sequence[str | Path], seconds: int = SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a command to its end or to the time limit; its children end with it."""
    with subprocess.Popen(
        call, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise UnavailableError(f"too slow: {call[0]} took {seconds} s and more") from error
            raise
    return subprocess.CompletedProcess(call, process.returncode, out, err)


if __name__ == "__main__":
    sys.exit(main())
