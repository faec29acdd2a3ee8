"""Predict a stream of samples, window after window, as the manifest says.

A window is predicted alone, whatever the number of samples that come at once.  So any chunking of
a stream gives the same answers bit for bit.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.errors import EdgeRuntimeError, InputError
from edge_runtime.inputs.cells import kind_name
from edge_runtime.model import Model
from edge_runtime.records import record
from edge_runtime.stream_clock import StreamClock, StreamFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.inputs.flags import Flag

__all__ = ["Answer", "Stream", "StreamFlag", "check_rate"]

RATE_TOLERANCE = 1e-3
"""Relative difference of two rates that are the same clock's: a sound card is within 1e-4."""


@record(frozen=True, slots=True)
class Answer:
    """The prediction for one window of a stream.

    Attributes
    ----------
    time
        Seconds from the start of the stream to the end of the window.
    prediction
        As ``predict_one``, after votes and hysteresis.
    flags
        What lies outside the training data, and what happened to the stream before the window: a
        gap, late samples, another rate, missing samples.
    window_prediction
        The prediction for the window alone.
    """

    time: float
    prediction: Any
    flags: tuple[Flag | StreamFlag, ...]
    window_prediction: Any


class Stream:
    """Cuts samples into windows and predicts each; the windows come from the manifest.

    ::

        stream = edge_runtime.Stream(edge_runtime.load("pump.onnx"), majority=3)
        for chunk in sensor:                       # any number of samples at a time
            for answer in stream.push(chunk):
                print(answer.time, answer.prediction, *answer.flags)

    One thread at a time may use it; several streams may share a model.

    Parameters
    ----------
    model
        A model that was exported with ``stream={"rate": ...}``.
    rate
        Samples a second of the source, if it states one: another than the sealed rate is refused.
    method
        ``predict``, or any other method that the model has.
    majority
        Predict the label of most of so many last windows; of equally frequent ones, the latest.
    hysteresis
        Change the prediction after so many windows in a row have another label.
    tolerance
        Seconds by which a time that is passed to :meth:`push` may differ from the expected one.

    Raises
    ------
    InputError
        The source has another rate.
    EdgeRuntimeError
        The model was exported without ``stream=``.
    MethodNotAvailableError
        The model has no such method.
    ValueError
        An option is invalid, or labels are to be counted and the model predicts numbers.
    """

    def __init__(
        self,
        model: Model,
        *,
        rate: float | None = None,
        method: str = "predict",
        majority: int = 1,
        hysteresis: int = 1,
        tolerance: float = 0.1,
    ) -> None:
        tensor = model.schema.columns[0].tensor
        if tensor is None or tensor.stream is None:
            raise EdgeRuntimeError(
                f"{model.manifest.name!r} says nothing about streams; export it with "
                'stream={"rate": samples a second}'
            )
        self.model, self.settings = model, tensor.stream
        self._shape = tensor.shape
        self.window = tensor.shape[self.settings.time_axis]
        if rate is not None:
            check_rate(rate, self.rate)
        self._predict = getattr(model, f"{method}_one")
        self._votes = _Votes(model, method, majority, hysteresis)
        self._takes_missing = model.schema.columns[0].missing
        if not tolerance > 0:
            raise ValueError(f"tolerance must be above 0 seconds, found {tolerance!r}")
        self._tolerance = tolerance
        self.reset()

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.settings.rate

    @property
    def hop(self) -> int:
        """Samples from the start of one window to the start of the next."""
        return self.settings.hop

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self.settings.channels

    @property
    def pending_flags(self) -> tuple[StreamFlag, ...]:
        """Flags of what happened since the last answer; the next answer will have them."""
        if not self._n_missing:
            return tuple(self._flags)
        # By their count: any chunking gives the same seconds.
        return (*self._flags, StreamFlag("missing_samples", self._n_missing / self.rate))

    def reset(self) -> None:
        """Start anew, as if no sample had come."""
        self._clock = StreamClock(self.rate, self._tolerance)
        self._flags: list[StreamFlag] = []
        self._n_missing = 0
        self._restart()
        self._votes.clear()

    def push(self, samples: Any, time: float | None = None) -> list[Answer]:
        """Take the next samples; return the answers of the windows that they complete.

        Parameters
        ----------
        samples
            Shape (n_samples,), or (n_samples, n_channels) in the order of ``channels``.
        time
            Seconds, on any clock, at which the first of them was taken; None where they follow the
            last ones.  After a gap the next window starts behind it.  Samples that came already are
            dropped.  Both are reported.

        Raises
        ------
        InputError
            The samples have another shape or are no numbers; the stream goes on without them.
        """
        block = self._as_block(samples)
        if time is not None and len(block):
            n_late, flag, is_gap = self._clock.compare(time, len(block))
            if flag is not None:
                self._note(flag)
            if is_gap:
                self._restart()
                self._votes.clear()
            block = block[n_late:]
        answers: list[Answer] = []
        for part, n_missing in self._parts(block):
            answers += self._take(part)
            if n_missing:
                self._n_missing += n_missing
                self._clock.advance(n_missing)
                self._restart()
        return answers

    def _restart(self) -> None:
        """Begin a window with the next sample."""
        self._buffer: NDArray[np.float64] = np.empty((0, len(self.channels)))
        self._to_skip = 0

    def _note(self, flag: StreamFlag) -> None:
        """Keep *flag* for the next answer; add it to the last one if that is of the same kind."""
        if self._flags and self._flags[-1].kind == flag.kind:
            flag = self._flags.pop().extended_by(flag)
        self._flags.append(flag)

    def _as_block(self, samples: Any) -> NDArray[np.float64]:
        try:
            array = np.asarray(samples)
            if array.dtype.kind not in "fiub":
                raise InputError(f"expected samples that are numbers, found dtype {array.dtype}")
        except ValueError as error:
            raise InputError(
                f"expected an array of samples, found {kind_name(samples)}: {error}"
            ) from error
        n_channels = len(self.channels)
        if array.ndim == 1 and n_channels == 1:
            array = array[:, np.newaxis]
        if array.ndim != 2 or array.shape[1] != n_channels:
            if array.size == 0:
                return np.empty((0, n_channels))
            shape = "(n_samples,)" if n_channels == 1 else f"(n_samples, {n_channels})"
            raise InputError(f"expected samples of the shape {shape}, found {array.shape}")
        return array.astype(np.float64)

    def _parts(self, block: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], int]]:
        """Yield runs of samples that have all numbers, and how many lack some after each."""
        is_bad = np.isinf(block) if self._takes_missing else ~np.isfinite(block)
        lacks_some: NDArray[np.bool_] = np.any(is_bad, axis=1)
        position = 0
        while position < len(block):
            end = position + _run_length(lacks_some[position:], False)
            n_missing = _run_length(lacks_some[end:], True)
            yield block[position:end], n_missing
            position = end + n_missing

    def _take(self, block: NDArray[np.float64]) -> list[Answer]:
        """Append samples that follow the last ones, and predict each whole window."""
        first = self._clock.n_samples - len(self._buffer)  # of the buffer, on the clock's count
        self._clock.advance(len(block))
        if self._to_skip:
            skipped = min(self._to_skip, len(block))
            self._to_skip -= skipped
            first += skipped
            block = block[skipped:]
        buffer = np.concatenate([self._buffer, block]) if len(self._buffer) else block
        answers, start = [], 0
        while start + self.window <= len(buffer):
            end = self._clock.time_of(first + start + self.window)
            answers.append(self._answer(buffer[start : start + self.window], end))
            start += self.hop
        self._to_skip += max(0, start - len(buffer))
        self._buffer = buffer[start:].copy()
        return answers

    def _answer(self, samples: NDArray[np.float64], end: float) -> Answer:
        row = samples if self.settings.time_axis == 0 else samples.T
        row = np.ascontiguousarray(row).reshape(self._shape)
        prediction = self._predict(row)
        flags: tuple[Flag | StreamFlag, ...] = self.pending_flags
        flags += self.model.check_rows(row[np.newaxis])[0]
        self._flags, self._n_missing = [], 0
        return Answer(end, self._votes.add(prediction), flags, prediction)


def check_rate(rate: float, trained_rate: float) -> None:
    """Raise InputError if samples come at another rate than those of training."""
    if not abs(rate / trained_rate - 1.0) <= RATE_TOLERANCE:
        raise InputError(
            f"expected {trained_rate:g} samples a second, as in training, found {rate:g}; set the "
            "source to that rate, or resample the signal"
        )


def _run_length(flags: NDArray[np.bool_], value: bool) -> int:
    """Return how many of the first *flags* are *value*."""
    ends = np.flatnonzero(flags != value)
    return int(ends[0]) if len(ends) else len(flags)


class _Votes:
    """Makes one prediction of those of the last windows."""

    def __init__(self, model: Model, method: str, majority: int, hysteresis: int) -> None:
        for name, value in (("majority", majority), ("hysteresis", hysteresis)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number above 0, found {value!r}")
        outputs = [output for output in model.manifest.outputs if output.method == method]
        are_labels = len(outputs) == 1 and outputs[0].dtype[0] != "f" and method == "predict"
        if max(majority, hysteresis) > 1 and not are_labels:
            raise ValueError(f"majority and hysteresis count labels, and {method} gives numbers")
        self._majority, self._hysteresis = majority, hysteresis
        self.clear()

    def clear(self) -> None:
        """Forget the last windows."""
        self._recent: deque[Any] = deque(maxlen=self._majority)
        self._challenger: Any = None
        self._n_challenges = 0
        self._current: Any = None
        self._has_current = False

    def add(self, prediction: Any) -> Any:
        """Return the prediction after one more window."""
        if self._majority == self._hysteresis == 1:
            return prediction
        self._recent.append(prediction)
        counts = Counter(self._recent)
        most = max(counts.values())
        winner = next(label for label in reversed(self._recent) if counts[label] == most)
        if not self._has_current or winner == self._current:
            self._current, self._has_current, self._n_challenges = winner, True, 0
            return self._current
        is_same = self._n_challenges > 0 and winner == self._challenger
        self._n_challenges = self._n_challenges + 1 if is_same else 1
        self._challenger = winner
        if self._n_challenges >= self._hysteresis:
            self._current, self._n_challenges = winner, 0
        return self._current
