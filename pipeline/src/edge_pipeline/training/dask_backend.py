"""Run joblib's tasks on a Dask cluster, and survive the death of a worker.

joblib's own backend for Dask puts each large argument on a single worker, even the row numbers of a
fold.  When that worker dies, the call never returns.  This backend puts the rows on every worker
and sends the other arguments with each task.  A task that the cluster cannot finish is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from joblib.parallel import ParallelBackendBase

__all__ = ["DaskBackend"]


class DaskBackend(ParallelBackendBase):  # type: ignore[misc]
    """Submit joblib's batches to a Dask client.

    Parameters
    ----------
    client
        The cluster's client.
    shared
        Objects that most tasks take as arguments, such as X and y.
    """

    supports_retrieve_callback = True

    def __init__(self, client: Any, shared: Sequence[Any], **options: Any) -> None:
        super().__init__(**options)
        self._client = client
        self._shared = [value for value in shared if value is not None]
        self._scattered: list[Any] = []
        self._running: list[Any] = []

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return the number of threads in the cluster; *n_jobs* has no effect."""
        return max(1, int(sum(self._client.nthreads().values())))

    def start_call(self) -> None:
        """Put the shared objects on every worker, unless they are still there."""
        if not self._scattered or any(future.status != "finished" for future in self._scattered):
            # One at a time: scatter would take a list apart.
            self._scattered = [
                self._client.scatter([value], broadcast=True, hash=False)[0]
                for value in self._shared
            ]

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Any:
        """Submit a batch; *callback* runs when it has finished, failed or been lost."""

        # A nested function is pickled by value: workers need not have this package installed.
        def run(items: Sequence[Any], *shared: Any) -> list[Any]:
            def resolve(value: Any) -> Any:
                is_index = isinstance(value, tuple) and len(value) == 2 and value[0] == "shared"
                return shared[value[1]] if is_index else value

            return [
                function(*map(resolve, args), **{n: resolve(v) for n, v in kwargs.items()})
                for function, args, kwargs in items
            ]

        items = [
            (
                function,
                tuple(map(self._replace_shared, args)),
                {n: self._replace_shared(v) for n, v in kwargs.items()},
            )
            for function, args, kwargs in func.items
        ]
        future = self._client.submit(run, items, *self._scattered, pure=False)
        self._running.append(future)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return the results of a batch, or raise its error."""
        return out.result()

    def stop_call(self) -> None:
        """Release the futures of this call."""
        self._running.clear()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel the batches that are running."""
        self._client.cancel(self._running)
        self._running.clear()

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """Run nested joblib calls sequentially."""
        from joblib.parallel import SequentialBackend

        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def _replace_shared(self, value: Any) -> Any:
        """Replace a shared object with its index: the workers have the object already."""
        for index, shared in enumerate(self._shared):
            if value is shared:
                return ("shared", index)
        return value
