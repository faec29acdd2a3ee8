"""joblib's tasks on a Dask cluster, so that a worker that dies takes nothing with it.

joblib's own backend for Dask puts every larger argument on one worker alone, the row numbers of
each fold too; when that worker dies the call waits for ever.  Here the rows are put on every
worker, what else a task needs travels with it, and what the cluster cannot finish is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from joblib.parallel import ParallelBackendBase

__all__ = ["DaskBackend"]


class DaskBackend(ParallelBackendBase):  # type: ignore[misc]
    """Runs joblib's batches through a client.

    Parameters
    ----------
    client
        Of the cluster.
    shared
        Objects that most tasks are handed, such as X and y.
    """

    supports_retrieve_callback = True

    def __init__(self, client: Any, shared: Sequence[Any], **options: Any) -> None:
        super().__init__(**options)
        self._client = client
        self._shared = [one for one in shared if one is not None]
        self._placed: list[Any] = []
        self._running: list[Any] = []

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Workers there are, whatever *n_jobs* says."""
        return max(1, int(sum(self._client.nthreads().values())))

    def start_call(self) -> None:
        """Put the shared objects on every worker, where they are not or no longer."""
        if not self._placed or any(future.status != "finished" for future in self._placed):
            # Each by itself: a list is scattered item by item.
            self._placed = [
                self._client.scatter([one], broadcast=True, hash=False)[0] for one in self._shared
            ]

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Any:
        """Send a batch; *callback* is called when it is done, failed or lost."""

        # A function within a function travels by its code: workers need not have this package.
        def run(items: Sequence[Any], *shared: Any) -> list[Any]:
            def given(value: Any) -> Any:
                is_mark = isinstance(value, tuple) and len(value) == 2 and value[0] == "shared"
                return shared[value[1]] if is_mark else value

            return [
                function(*map(given, args), **{name: given(value) for name, value in more.items()})
                for function, args, more in items
            ]

        items = [
            (
                function,
                tuple(map(self._replace_shared, args)),
                {n: self._replace_shared(v) for n, v in more.items()},
            )
            for function, args, more in func.items
        ]
        future = self._client.submit(run, items, *self._placed, pure=False)
        self._running.append(future)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """The answers of a batch, or the error that it ended with."""
        return out.result()

    def stop_call(self) -> None:
        """Let go of what was answered."""
        self._running.clear()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Take back what is under way."""
        self._client.cancel(self._running)
        self._running.clear()

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """One task does not start others."""
        from joblib.parallel import SequentialBackend

        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def _replace_shared(self, value: Any) -> Any:
        """A mark for an object that the workers have already."""
        for place, one in enumerate(self._shared):
            if value is one:
                return ("shared", place)
        return value
