"""A model predicts, or raises a clear error, after it was closed, copied, pickled or forked."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device import models
from edge_runtime.engine import fork_gate
from edge_runtime.model import Model
from edge_runtime.trust.keys import TrustedKeys
from edge_runtime.trust.public_key import PublicKey

import edge_runtime
from edge_runtime import IntegrityError, ModelClosedError, UntrustedKeyError

X = np.random.default_rng(3).normal(size=(20, 3))
EXPECTED = models.labels(X).tolist()


@pytest.fixture
def model(bundle_file: Path) -> Iterator[Model]:
    with edge_runtime.load(bundle_file) as loaded:
        yield loaded


def predict_both_ways(model: Model, rows: Any) -> list[Any]:
    return [model.predict_one(row) for row in rows] + model.predict(rows).tolist()  # type: ignore[union-attr]


def test_a_model_is_pickled_as_its_path_and_predicts_the_same(model: Model) -> None:
    raw = pickle.dumps(model)
    assert len(raw) < 1000
    with pickle.loads(raw) as copied_model:
        assert predict_both_ways(copied_model, X) == EXPECTED * 2


def test_a_pickled_model_keeps_the_options_it_was_loaded_with(bundle_file: Path) -> None:
    with edge_runtime.load(bundle_file, extra_columns="ignore") as model:
        row = {"x0": 1.0, "x1": 2.0, "x2": 3.0, "note": "extra"}
        with pickle.loads(pickle.dumps(model)) as copied_model:
            assert copied_model.predict_one(row) == model.predict_one(row)


def test_a_model_from_bytes_is_pickled_with_them(healthy_bundle: bytes) -> None:
    with edge_runtime.load(healthy_bundle) as model:
        assert predict_both_ways(pickle.loads(pickle.dumps(model)), X) == EXPECTED * 2


def test_a_relative_path_is_found_from_another_folder(
    bundle_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle_file.parent)
    with edge_runtime.load(bundle_file.name) as model:
        raw = pickle.dumps(model)
        monkeypatch.chdir("/")
        assert predict_both_ways(pickle.loads(raw), X) == EXPECTED * 2


def test_unpickling_refuses_a_file_that_was_replaced(model: Model, bundle_file: Path) -> None:
    raw = pickle.dumps(model)
    bundle_file.write_bytes(models.classifier(("a", "b", "c")).sealed())
    with pytest.raises(IntegrityError, match="holds another bundle now"):
        pickle.loads(raw)
    bundle_file.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(raw)


def test_unpickling_checks_the_trusted_keys_again(model: Model) -> None:
    assert model.origin is not None
    keys = TrustedKeys({"0" * 16: PublicKey(bytes(32))})
    travelling = pickle.loads(pickle.dumps(replace(model.origin, trusted_keys=keys)))
    with pytest.raises((UntrustedKeyError, edge_runtime.UnsignedError)):
        travelling.load()


def test_a_copy_lives_when_the_original_is_closed(model: Model) -> None:
    for copied_model in (copy.copy(model), copy.deepcopy(model)):
        with copied_model:
            assert predict_both_ways(copied_model, X) == EXPECTED * 2
    copied = copy.deepcopy({"model": model})["model"]
    model.close()
    assert predict_both_ways(copied, X) == EXPECTED * 2


def test_a_closed_or_unsealed_model_cannot_be_pickled(model: Model) -> None:
    model.close()
    with pytest.raises(ModelClosedError, match="load it again"):
        pickle.dumps(model)
    parts = models.classifier()
    unsealed = Model.from_parts(parts.graph, parts.manifest)
    with unsealed, pytest.raises(TypeError, match="loaded from a bundle"):
        pickle.dumps(unsealed)


def test_a_closed_model_refuses_every_call_but_close(model: Model) -> None:
    model.close()
    model.close()
    for question in (
        lambda: model.predict_proba_one(X[0]),
        lambda: model.predict_one(X[0]),
        lambda: model.predict_proba(X),
        model.warm_up,
    ):
        with pytest.raises(ModelClosedError, match="load it again"):
            question()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_start_anew_load_the_model_again(
    method: str, bundle_file: Path, patience: int
) -> None:
    context: Any = multiprocessing.get_context(method)
    model = edge_runtime.load(bundle_file, threads=2)
    with model, ProcessPoolExecutor(1, mp_context=context) as pool:
        assert (
            pool.submit(predict_both_ways, model, X).result(timeout=60 * patience) == EXPECTED * 2
        )


FORK = """
import os, sys, threading
import numpy as np
import edge_runtime
from edge_runtime import ModelClosedError
threads = int(sys.argv[2])
model = edge_runtime.load(sys.argv[1], threads=threads)
X = np.ones((5000, 3))
expected = model.predict(X).tolist(), model.predict_one(X[0])
model.predict(X)
# Held by a thread that does not come along.
model._planner._lock.acquire()
child = os.fork()
if not child:
    code = 3
    try:
        same = (model.predict(X).tolist(), model.predict_one(X[0])) == expected
        proba = [model.predict_proba_one(X[0]) for _ in range(3)]
        code = 0 if same else 4
    except ModelClosedError as error:
        code = 5 if "load it again here" in str(error) else 6
        with edge_runtime.load(sys.argv[1], threads=threads) as again:
            code = 5 if again.predict(X).tolist() == expected[0] else 7
    finally:
        assert (code == 5) == (threads == 2)
        sys.exit(code)
_, status = os.waitpid(child, 0)
model._planner._lock.release()
assert model.predict(X).tolist() == expected[0]
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize(("threads", "code"), [(1, "0"), (2, "5")])
def test_a_forked_child_predicts_with_one_thread_only(
    threads: int, code: str, bundle_file: Path, patience: int
) -> None:
    # Python 3.12 warns of forks in a process with threads, and pytest may have some.
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, bundle_file, str(threads)],
        capture_output=True,
        text=True,
        timeout=60 * patience,
        check=False,
    )
    assert (process.stdout.strip(), process.stderr) == (code, "")


def test_joblib_workers_get_the_model(bundle_file: Path) -> None:
    joblib = pytest.importorskip("joblib")
    model = edge_runtime.load(bundle_file)
    with model, joblib.parallel_config(backend="multiprocessing", n_jobs=2):
        predictions = joblib.Parallel()(
            joblib.delayed(model.predict)(X[i : i + 10]) for i in (0, 10)
        )
    assert np.concatenate(predictions).tolist() == EXPECTED


def test_a_warm_model_makes_no_new_session(model: Model) -> None:
    model.warm_up()
    settled = dict(model._planner._final_queries)
    assert len(settled) == 4
    assert predict_both_ways(model, X) == EXPECTED * 2
    model.predict_proba_one(X[0])
    assert model._planner._final_queries == settled


@pytest.mark.native("an emulated process's memory is mostly QEMU's")
def test_memory_stays_flat_over_single_rows_and_changing_batches(model: Model) -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 3000, size=300)
    table = rng.normal(size=(3000, 3))

    def work() -> None:
        for size in sizes:
            model.predict(table[:size])
            model.predict_proba(table[:size])
        for row in table:
            model.predict_one(row)
            model.predict_proba_one(row)

    work()
    before = resident_bytes()
    for _ in range(3):
        work()
    assert resident_bytes() - before < 1_500_000


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


FORKS = """
import os, signal, sys, threading
import numpy as np
import edge_runtime
from edge_runtime import ModelClosedError

path, threads, n_forks, seconds = sys.argv[1], *map(int, sys.argv[2:5])
model = edge_runtime.load(path, threads=threads)
row, table = np.ones(3), np.ones((300, 3))
expected = model.predict_one(row), model.predict(table).tolist()
stopped = threading.Event()
failures = []

def predict_on(call, rows, result):
    while not stopped.is_set():
        if np.asarray(call(rows)).tolist() != result:
            failures.append(call)

def in_child():
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    loaded = model
    if threads > 1:
        try:
            model.predict(table)
            return 5
        except ModelClosedError:
            loaded = edge_runtime.load(path, threads=threads)
    same = (loaded.predict_one(row), loaded.predict(table).tolist()) == expected
    return 0 if same else 6

workers = [
    threading.Thread(target=predict_on, args=arguments)
    for arguments in (
        (model.predict_one, row, expected[0]),
        (model.predict, table, expected[1]),
        (model.predict_one, row, expected[0]),
    )
]
for worker in workers:
    worker.start()
codes = []
for _ in range(n_forks):
    child = os.fork()
    if not child:
        code = 7
        try:
            code = in_child()
        finally:
            os._exit(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stopped.set()
for worker in workers:
    worker.join()
print(len(codes), sorted(set(codes)), failures)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("threads", "n_forks"), [(1, 1_000), (2, 1_000)])
def test_no_forked_child_waits_for_a_lock_of_another_thread(
    threads: int, n_forks: int, bundle_file: Path, patience: int
) -> None:
    """Three threads predict all the time; a child that inherits a held lock would never end."""
    arguments = threads, n_forks, 20 * patience
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, bundle_file, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600 * patience,
        check=False,
    )
    assert (process.stdout.strip(), process.stderr) == (f"{n_forks} [0] []", "")


def test_a_fork_waits_for_calls_and_gives_up_in_the_end(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child of a fork that could not wait any longer has no model, instead of a hang."""
    monkeypatch.setattr(fork_gate, "MAX_WAIT_SECONDS", 0.05)
    fork_gate.GATE.enter()  # as a call that does not end
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytest may have threads
        child = os.fork()
    if not child:
        try:
            model.predict(X)
            os.write(writer, b"predicted")
        except ModelClosedError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    fork_gate.GATE.leave()
    os.waitpid(child, 0)
    assert b"predicting in another thread" in os.read(reader, 1000)
    os.close(reader)
    os.close(writer)
    assert predict_both_ways(model, X) == EXPECTED * 2


def test_a_row_that_fails_leaves_no_fork_waiting(model: Model) -> None:
    """A runner that was dropped after an error is not waited for."""
    for _ in range(4):
        model.predict_one(X[0])
    with pytest.raises(edge_runtime.InputError):
        model.predict_one(["no", "number", "here"])
    model.predict_one(X[0])
    fork_gate.GATE.take_turn()
    assert fork_gate.GATE.close()
    fork_gate.GATE.open()
    assert predict_both_ways(model, X) == EXPECTED * 2
