"""A search on a Dask cluster of two processes: equal scores, also when a worker dies."""

import importlib.util
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.build_from_recipe import build
from edge_pipeline.data.dataset import load_dataset
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.errors import TrainingError
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.engines import Engine
from edge_pipeline.training.fit import FittedModel, train

import edge_runtime

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("dask"),
    # Its own event loop and the processes that it kills leave sockets to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SEARCH = """\
[validation]
folds = 4
repeats = 1
[search]
method = "random"
candidates = 6
measured = 0
[search.parameters]
max_leaf_nodes = { low = 2, high = 30, whole = true }
ccp_alpha = { low = 1e-4, high = 1e-1, scale = "log" }
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers, each a process of its own."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit="1GiB"
    ) as local_cluster:
        yield local_cluster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=["a", "b", "c", "d"])
    frame["hull"] = rng.choice(["oak", "steel"], 300)
    score = frame.a + frame.b**2 + (frame.hull == "oak")
    frame["kind"] = np.where(score + rng.normal(scale=0.3, size=300) > 1.2, "sloop", "ketch")
    frame.to_csv(tmp_path / "boats.csv", index=False)
    (tmp_path / "recipe.toml").write_text(
        'name = "boats"\ntask = "classification"\n[data]\nfile = "boats.csv"\ntarget = "kind"\n'
        '[preprocessing]\nnumbers = ["scale"]\nstrings = ["one-hot"]\n'
        '[estimator]\nclass = "sklearn.tree.DecisionTreeClassifier"\n' + SEARCH,
        encoding="utf-8",
    )
    return tmp_path


def searched(folder: Path, engine: Engine, watcher: ProgressListener | None = None) -> FittedModel:
    recipe = read_recipe(folder)
    return train(recipe, load_dataset(recipe), watcher=watcher or ProgressListener(), engine=engine)


def numbered_scores(model: FittedModel) -> list[tuple[int, str, float]]:
    assert model.search is not None
    return [(c.number, str(c.parameters), round(c.score, 10)) for c in model.search.candidates]


class Killing(ProgressListener):
    """Kills a worker that is at work, once two candidates are done."""

    def __init__(self, cluster: Any, address: str, pid: int) -> None:
        self.cluster, self.address, self.pid = cluster, address, pid
        self.thread: threading.Thread | None = None
        self.was_at_work = False

    def candidate(self, done: int, total: int | None, score: float, best: float) -> None:
        if done == 2:
            self.thread = threading.Thread(target=self.kill_at_work)
            self.thread.start()

    def kill_at_work(self) -> None:
        state = self.cluster.scheduler.workers[self.address]
        for _ in range(20_000):
            if state.processing:
                self.was_at_work = True
                os.kill(self.pid, signal.SIGKILL)
                return
            time.sleep(0.001)


def pids_of(cluster: Any) -> dict[str, int]:
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        return dict(client.run(os.getpid))


def test_a_cluster_gives_the_scores_of_a_local_search(folder: Path, cluster: Any) -> None:
    assert len(set(pids_of(cluster).values()) - {os.getpid()}) == 2
    there = searched(folder, Engine("dask", scheduler=cluster.scheduler_address))
    here = searched(folder, Engine())
    assert numbered_scores(there) == numbered_scores(here)
    assert len(numbered_scores(here)) == 6
    X = load_dataset(read_recipe(folder)).X_test
    assert np.array_equal(there.estimator.predict_proba(X), here.estimator.predict_proba(X))


def test_a_killed_worker_loses_no_candidate(folder: Path, cluster: Any) -> None:
    # Slow enough to be at work when it is killed; a class that the workers cannot import.
    (folder / "slow.py").write_text(
        "import time\nfrom sklearn.tree import DecisionTreeClassifier\n\n"
        "class Slow(DecisionTreeClassifier):\n"
        "    def fit(self, X, y):\n        time.sleep(0.1)\n        return super().fit(X, y)\n"
    )
    text = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(
        text.replace("sklearn.tree.DecisionTreeClassifier", "slow.Slow")
    )
    before = pids_of(cluster)
    watcher = Killing(cluster, *next(iter(before.items())))
    there = searched(folder, Engine("dask", scheduler=cluster.scheduler_address), watcher)
    assert watcher.thread is not None
    watcher.thread.join()
    assert watcher.was_at_work
    assert watcher.pid not in pids_of(cluster).values()
    assert numbered_scores(there) == numbered_scores(searched(folder, Engine()))


def test_a_cluster_gives_the_bytes_of_a_local_build(folder: Path, cluster: Any) -> None:
    engine = Engine("dask", scheduler=cluster.scheduler_address)
    there = build(folder, folder / "there.onnx", engine=engine).path.read_bytes()
    assert there == build(folder, folder / "here.onnx").path.read_bytes()


def test_the_code_of_the_page_predicts_inside_the_workers(
    root: Path, folder: Path, cluster: Any
) -> None:
    page = (root / "docs/scale.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (folder / "page.py").write_text(code, encoding="utf-8")
    # Not among the imported modules: like a script, it travels to the workers by its code.
    spec = importlib.util.spec_from_file_location("page", folder / "page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = build(folder, folder / "boats.onnx").path
    frame = pd.read_csv(folder / "boats.csv").drop(columns="kind")
    predictions = module.predict_all(str(path), frame, cluster.scheduler_address, 60)
    with edge_runtime.load(path) as model:
        assert predictions["prediction"].tolist() == model.predict(frame).tolist()
    assert predictions.drop(columns="prediction").equals(frame)


def test_the_command_starts_its_own_cluster(folder: Path) -> None:
    from click.testing import CliRunner
    from edge_pipeline.cli.main import cli

    options = ["--engine", "dask", "--jobs", "2", "--no-report", "-o", str(folder / "m.onnx")]
    result = CliRunner().invoke(cli, ["build", str(folder), *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert "searched" in result.stdout
    assert "6 candidates, 4 fits each" in result.stdout
    assert (folder / "m.onnx").is_file()


def test_an_unreachable_scheduler_is_named(folder: Path) -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(TrainingError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"),
    ):
        searched(folder, Engine("dask", scheduler="tcp://127.0.0.1:9"))


def test_a_scheduler_without_the_engine_dask_is_refused(folder: Path) -> None:
    with pytest.raises(TrainingError, match="name both"):
        searched(folder, Engine(scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(TrainingError, match="found 0"):
        searched(folder, Engine(jobs=0))


def test_a_missing_dask_is_named(folder: Path, in_new_process: Callable[..., str]) -> None:
    source = (
        "import sys\nsys.modules['distributed'] = None\nimport edge_pipeline\n"
        "from edge_pipeline import Engine\n"
        "try:\n    edge_pipeline.build(sys.argv[1], engine=Engine('dask'))\n"
        "except edge_pipeline.TrainingError as error:\n    print(error)\n"
    )
    assert "edge-pipeline[dask]" in in_new_process(source, folder)
