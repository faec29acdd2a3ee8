"""Report the loss of each epoch while a neural network trains."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import Any

from edge_pipeline.progress import SILENT, ProgressListener
from edge_pipeline.training.estimator_factory import last_step

__all__ = ["report_epochs"]


class _EpochParser(io.TextIOBase):
    """Parse the progress lines of an estimator, and pass each loss to the listener."""

    # MLPClassifier and MLPRegressor print such a line each epoch (scikit-learn 1.9,
    # neural_network/_multilayer_perceptron.py, BaseMultilayerPerceptron._fit_stochastic).
    _LINE = re.compile(r"Iteration (\d+), loss = (\S+)")

    def __init__(self, watcher: ProgressListener) -> None:
        self._watcher = watcher
        self._incomplete_line = ""

    def write(self, text: str) -> int:
        *lines, self._incomplete_line = (self._incomplete_line + text).split("\n")
        for line in lines:
            if match := self._LINE.match(line):
                self._watcher.epoch(int(match[1]), float(match[2]))
        return len(text)


def report_epochs(estimator: Any, watcher: ProgressListener) -> AbstractContextManager[Any]:
    """Pass a neural network's loss to *watcher* after each epoch, inside the block.

    The progress lines are parsed because that does not change the training: a loop of
    ``partial_fit`` would shuffle, validate and stop differently.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if watcher is SILENT or not isinstance(last_step(estimator), MLPClassifier | MLPRegressor):
        return nullcontext()
    return _Verbose(last_step(estimator), redirect_stdout(_EpochParser(watcher)))


class _Verbose:
    """Set an estimator's ``verbose`` inside a block."""

    def __init__(self, estimator: Any, redirect: AbstractContextManager[Any]) -> None:
        self._estimator = estimator
        self._redirect = redirect

    def __enter__(self) -> None:
        self._old_verbose = self._estimator.verbose
        self._estimator.set_params(verbose=True)
        self._redirect.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._redirect.__exit__(*error)
        self._estimator.set_params(verbose=self._old_verbose)
