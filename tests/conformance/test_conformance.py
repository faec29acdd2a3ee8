"""Every estimator that scikit-learn itself tests converts, and predicts the same."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from conformance.cases import VARIANTS, names
from conformance.table import AMBIGUOUS, EXACT, EXCEPTIONS, TABLE, read_table

SECONDS_ALLOWED = 300
"""For one estimator and all variants of its data; a conversion that hangs ends here."""

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["conformance.warm"])


def measure_in_process(name: str) -> list[dict[str, Any]]:
    """Measure every variant in a new process."""
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_measure_all, args=(name, sender))
    process.start()
    sender.close()
    try:
        if not receiver.poll(SECONDS_ALLOWED):
            pytest.fail(f"{name} did not finish in {SECONDS_ALLOWED} s")
        results: list[dict[str, Any]] = json.loads(receiver.recv())
        return results
    except EOFError:
        process.join()
        pytest.fail(f"{name} ended its process with exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _measure_all(name: str, sender: Any) -> None:
    import warnings

    from conformance.one import measure

    warnings.simplefilter("ignore")
    sender.send(json.dumps([measure(name, variant) for variant in VARIANTS]))


@pytest.mark.parametrize(
    "name",
    # A few estimators stand for all in make test-quick.
    [
        pytest.param(name, marks=[pytest.mark.slow] if position % 40 else [])
        for position, name in enumerate(names())
    ],
)
def test_an_estimator_predicts_as_scikit_learn_does(name: str) -> None:
    results = measure_in_process(name)
    plain = results[0]
    if name in EXCEPTIONS:
        assert "error" in plain, f"{name} converts now: take it off the list of exceptions"
        assert "UnsupportedEstimatorError" in plain["error"] or "ConversionError" in plain["error"]
        return
    assert "methods" in plain, plain
    for result in results:
        if (name, result["variant"]) in AMBIGUOUS:
            continue
        assert "error" not in result, result
        for engine in ("methods", "numpy"):
            for method, difference in result.get(engine, {}).items():
                assert difference <= EXACT, (engine, method, result)


def test_the_table_in_the_docs_lists_every_estimator(root: Path) -> None:
    listed = set(read_table(root / TABLE))
    assert listed == {name.rsplit("-", 1)[0] for name in names()}
