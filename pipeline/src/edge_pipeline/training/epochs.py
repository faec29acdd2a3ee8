"""A neural network's own progress lines, told to a watcher while it trains."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import Any

from edge_pipeline.progress import SILENT, ProgressListener
from edge_pipeline.training.estimator_factory import last_step

__all__ = ["report_epochs"]


class _EpochParser(io.TextIOBase):
    """Takes what an estimator prints while it trains, and tells the watcher each epoch's loss."""

    # MLPClassifier and MLPRegressor print one such line an epoch (sklearn 1.9,
    # neural_network/_multilayer_perceptron.py, _update_no_improvement_count's caller).
    _LINE = re.compile(r"Iteration (\d+), loss = (\S+)")

    def __init__(self, watcher: ProgressListener) -> None:
        self._watcher = watcher
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if found := self._LINE.match(line):
                self._watcher.epoch(int(found[1]), float(found[2]))
        return len(text)


def report_epochs(estimator: Any, watcher: ProgressListener) -> AbstractContextManager[Any]:
    """Have a neural network's own progress lines told to *watcher* while it trains.

    Reading what it prints is the one way that leaves its arithmetic alone: a loop of
    ``partial_fit`` shuffles, stops and validates otherwise.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if watcher is SILENT or not isinstance(last_step(estimator), MLPClassifier | MLPRegressor):
        return nullcontext()
    return _Verbose(last_step(estimator), redirect_stdout(_EpochParser(watcher)))


class _Verbose:
    """Sets an estimator's ``verbose`` for the time of a block."""

    def __init__(self, estimator: Any, redirect: AbstractContextManager[Any]) -> None:
        self._estimator = estimator
        self._redirect = redirect

    def __enter__(self) -> None:
        self._before = self._estimator.verbose
        self._estimator.set_params(verbose=True)
        self._redirect.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._redirect.__exit__(*error)
        self._estimator.set_params(verbose=self._before)
