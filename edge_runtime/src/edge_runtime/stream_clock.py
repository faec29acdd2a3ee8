"""Compare the times of samples with their number: gaps, late samples, another rate."""

from __future__ import annotations

from typing import Any, Literal

from edge_runtime.errors import InputError
from edge_runtime.records import record

__all__ = ["StreamClock", "StreamFlag", "StreamFlagKind"]

StreamFlagKind = Literal["gap", "late_samples", "wrong_rate", "missing_samples"]

SAME_RATIO = 0.02
"""Relative difference of two measured rates that counts as the same rate."""

OTHER_RATE = 0.005
"""Relative difference from the sealed rate from which a steady rate counts as another."""


@record(frozen=True, slots=True)
class StreamFlag:
    """Something that happened to a stream; ``str(flag)`` is a plain sentence.

    Attributes
    ----------
    kind
        ``gap``: samples are missing between two chunks.  ``late_samples``: they came already, and
        were dropped.  ``wrong_rate``: the times fit another rate.  ``missing_samples``: samples
        were no numbers.
    seconds
        Duration of the gap, or of the samples concerned.
    rate
        Samples a second that the times fit; None for other kinds.
    """

    kind: StreamFlagKind
    seconds: float
    rate: float | None = None

    def __str__(self) -> str:
        match self.kind:
            case "gap":
                return f"stream: a gap of {self.seconds:.3g} s"
            case "late_samples":
                return f"stream: {self.seconds:.3g} s of samples came late, and were dropped"
            case "wrong_rate":
                return f"stream: the times fit {self.rate:.6g} samples a second"
        return f"stream: {self.seconds:.3g} s of samples are missing"

    def extended_by(self, flag: StreamFlag) -> StreamFlag:
        """Return one flag for two of the same kind that follow each other."""
        return StreamFlag(self.kind, self.seconds + flag.seconds, flag.rate)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"kind": self.kind, "seconds": self.seconds, "rate": self.rate}


class StreamClock:
    """Counts samples, and compares the times that the caller states with that count.

    Attributes
    ----------
    n_samples
        Samples since the last anchor: the start, or the end of the last gap.
    """

    def __init__(self, rate: float, tolerance: float) -> None:
        self._rate = rate
        self._tolerance = tolerance
        self._zero: float | None = None  # the caller's time at the start of the stream
        self._anchor = 0.0  # seconds from the start of the stream to the first sample counted
        self.n_samples = 0
        self._last: tuple[float, int] | None = None  # time and number of the last chunk
        self._last_ratio: float | None = None

    def time_of(self, n_samples: int) -> float:
        """Return the seconds from the start of the stream to the end of sample *n_samples*."""
        return self._anchor + n_samples / self._rate

    def advance(self, n_samples: int) -> None:
        """Count samples."""
        self.n_samples += n_samples

    def compare(self, time: float, n_samples: int) -> tuple[int, StreamFlag | None, bool]:
        """Compare the *time* of the next *n_samples* with the expected one.

        Returns
        -------
        tuple
            How many of them came already, a flag or None, and whether there is a gap before them.

        Raises
        ------
        InputError
            *time* is no finite number.
        """
        if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) < 1e300:
            raise InputError(f"expected the time of the samples in seconds, found {time!r:.60}")
        if self._zero is None:
            self._zero = time - self.time_of(self.n_samples)
        deviation = time - self._zero - self.time_of(self.n_samples)
        ratio = self._ratio_to(time)
        self._last, earlier_ratio, self._last_ratio = (time, n_samples), self._last_ratio, ratio
        if abs(deviation) <= self._tolerance:
            return 0, None, False
        is_steady = (
            ratio is not None
            and earlier_ratio is not None
            and (abs(ratio - earlier_ratio) <= SAME_RATIO * ratio and abs(ratio - 1.0) > OTHER_RATE)
        )
        if is_steady and ratio is not None:
            self._zero += deviation  # the caller's clock is another: follow it
            return 0, StreamFlag("wrong_rate", abs(deviation), self._rate / ratio), False
        if deviation > 0:
            self._anchor = time - self._zero
            self.n_samples = 0
            return 0, StreamFlag("gap", deviation), True
        n_late = min(n_samples, round(-deviation * self._rate))
        return n_late, StreamFlag("late_samples", n_late / self._rate), False

    def _ratio_to(self, time: float) -> float | None:
        """Return the seconds since the last chunk over those that its samples last."""
        if self._last is None or time <= self._last[0]:
            return None
        return (time - self._last[0]) * self._rate / self._last[1]
