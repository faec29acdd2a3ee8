"""Choose where joblib runs a search: in this process, in several, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edge_pipeline.errors import TrainingError

__all__ = ["LOCAL", "Engine", "limit_threads", "use_engine"]

MULTITHREADED_ROWS = 20_000
"""Rows from which several threads make a fit faster; below, they wait for each other."""


@dataclass(frozen=True)
class Engine:
    """Where fits run.

    Attributes
    ----------
    name
        ``local`` or ``dask``.
    jobs
        Number of processes; -1 for one on each core.  A scheduler uses all its workers instead.
    scheduler
        Address of a Dask scheduler, such as ``tcp://10.0.0.5:8786``; a cluster of processes on
        this machine when None.  A scheduler runs arbitrary code: name one that you trust.
    """

    name: Literal["local", "dask"] = "local"
    jobs: int = 1
    scheduler: str | None = None


LOCAL = Engine()
"""Runs one fit after the other in this process."""


@contextlib.contextmanager
def use_engine(engine: Engine, shared: Sequence[Any] = ()) -> Iterator[int]:
    """Make joblib run on *engine* inside the block; yields the number of workers.

    Parameters
    ----------
    shared
        Objects that most tasks take as arguments; a cluster receives them once.

    Raises
    ------
    TrainingError
        Dask is not installed, or its scheduler does not answer.
    """
    from joblib import parallel_config

    if engine.name == "local":
        if engine.scheduler is not None:
            raise TrainingError(f"scheduler {engine.scheduler} is for the engine dask; name both")
        if engine.jobs == 0 or engine.jobs < -1:
            raise TrainingError(f"jobs is a number of processes or -1, found {engine.jobs}")
        workers = _cores() if engine.jobs < 0 else engine.jobs
        with parallel_config(backend="loky", n_jobs=workers):
            yield workers
        return
    with _client(engine) as client:
        workers = sum(client.nthreads().values())
        from edge_pipeline.training.dask_backend import DaskBackend

        with parallel_config(backend=DaskBackend(client, shared), n_jobs=-1):
            yield workers


@contextlib.contextmanager
def _client(engine: Engine) -> Iterator[Any]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise TrainingError(
            "the engine dask needs dask; pip install 'edge-pipeline[dask]'"
        ) from error
    with contextlib.ExitStack() as stack:
        address: Any = engine.scheduler
        if address is None:
            # One thread per process: no sharing of the GIL or of BLAS threads.
            address = stack.enter_context(
                LocalCluster(
                    n_workers=_cores() if engine.jobs < 0 else engine.jobs,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",  # any free port; None is 8787
                )
            )
        try:
            client = stack.enter_context(Client(address, set_as_default=False))
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"no Dask scheduler answers at {engine.scheduler}: {error}; "
                "start one with `dask scheduler`, or leave the address out"
            ) from error
        if not client.nthreads():
            raise TrainingError(
                f"the scheduler at {engine.scheduler} has no workers; "
                f"start one with `dask worker {engine.scheduler}`"
            )
        yield client


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def limit_threads(rows: int) -> Iterator[None]:
    """Limit the numerical libraries to one thread inside the block when there are few rows.

    On two shared cores, histogram boosting of 150 rows takes 0.2 s with one thread and up to 9 s
    with two.  One thread also makes the order of sums the same on every machine.
    """
    if rows >= MULTITHREADED_ROWS:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
