"""Count requests, predictions, flags and missing cells, and write them in Prometheus's text format.

https://prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.service.rows import RowCounts
    from edge_runtime.service.served_models import ServedModel

__all__ = ["Metrics"]

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper ends of the buckets of latency, in seconds."""

HOUR_MINUTES = 60

_Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters of a service; any number of threads may add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started_at = time.time()
        self._counters: defaultdict[str, Counter[_Labels]] = defaultdict(Counter)
        self._seconds: dict[str, list[float]] = {}
        # Minute, requests, predictions, refused rows, slowest answer in seconds.
        self._minutes: deque[list[float]] = deque(maxlen=HOUR_MINUTES)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        labels = (("route", route), ("status", str(status)))
        with self._lock:
            self._counters["requests"][labels] += 1
            buckets = self._seconds.setdefault(route, [0.0] * (len(BUCKETS) + 2))
            for i, end in enumerate(BUCKETS):
                buckets[i] += seconds <= end
            buckets[-2] += 1
            buckets[-1] += seconds
            minute = self._minute()
            minute[1] += 1
            minute[4] = max(minute[4], seconds)

    def count_rows(self, model: str, counts: RowCounts) -> None:
        """Count the rows of one answer."""
        name = ("model", model)
        with self._lock:
            self._counters["predictions"][(name,)] += counts.n_predicted
            self._counters["refused_rows"][(name,)] += counts.n_refused
            for (column, kind), n_flags in counts.flags.items():
                labels = (name, ("column", column), ("kind", kind))
                self._counters["flags"][labels] += n_flags
            for column, n_cells in counts.missing.items():
                self._counters["missing"][(name, ("column", column))] += n_cells
            minute = self._minute()
            minute[2] += counts.n_predicted
            minute[3] += counts.n_refused

    def last_hour(self) -> dict[str, Any]:
        """Return the sums of the last 60 minutes."""
        first = int(time.monotonic() // 60) - HOUR_MINUTES
        with self._lock:
            minutes = [minute for minute in self._minutes if minute[0] > first]
        sums = [int(sum(minute[i] for minute in minutes)) for i in (1, 2, 3)]
        slowest = max((minute[4] for minute in minutes), default=0.0)
        keys = ("requests", "predictions", "refused_rows")
        return {**dict(zip(keys, sums, strict=True)), "slowest_ms": round(1000 * slowest, 3)}

    def text(self, models: Iterable[ServedModel]) -> str:
        """Return every figure in Prometheus's text format."""
        with self._lock:
            counters = {name: dict(counter) for name, counter in self._counters.items()}
            seconds = {route: list(buckets) for route, buckets in self._seconds.items()}
        lines: list[str] = []
        for name, help_text in _COUNTERS.items():
            lines += _family(f"edge_runtime_{name}_total", "counter", help_text)
            lines += _samples(f"edge_runtime_{name}_total", counters.get(name, {}))
        lines += _histogram(seconds)
        lines += _family("edge_runtime_model_info", "gauge", "A model that is served.")
        listed = list(models)
        for served in listed:
            labels = tuple((key, str(value)) for key, value in served.identity().items())
            lines += _samples("edge_runtime_model_info", {labels: 1})
        lines += _family(
            "edge_runtime_model_ready", "gauge", "1 if the model predicts its golden rows again."
        )
        for served in listed:
            model = ("model", served.name)
            lines += _samples("edge_runtime_model_ready", {(model,): int(not served.fault())})
        lines += _family(
            "process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970."
        )
        lines.append(f"process_start_time_seconds {self._started_at!r}")
        lines += _family("process_resident_memory_bytes", "gauge", "Memory of the process.")
        lines.append(f"process_resident_memory_bytes {_resident_bytes()}")
        return "\n".join(lines) + "\n"

    def _minute(self) -> list[float]:
        number = int(time.monotonic() // 60)
        if not self._minutes or self._minutes[-1][0] != number:
            self._minutes.append([number, 0, 0, 0, 0.0])
        return self._minutes[-1]


_COUNTERS = {
    "requests": "Answers by address and status.",
    "predictions": "Rows that were predicted.",
    "refused_rows": "Rows that were refused, in requests that were answered.",
    "flags": "Cells outside the training data.",
    "missing": "Missing cells of predicted rows.",
}


def _histogram(seconds: Mapping[str, list[float]]) -> Iterator[str]:
    name = "edge_runtime_request_seconds"
    yield from _family(name, "histogram", "Time from the whole request to its answer.")
    for route, buckets in sorted(seconds.items()):
        route_label = ("route", route)
        for end, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=False):
            yield from _samples(f"{name}_bucket", {(route_label, ("le", end)): int(count)})
        yield from _samples(f"{name}_sum", {(route_label,): buckets[-1]})
        yield from _samples(f"{name}_count", {(route_label,): int(buckets[-2])})


def _family(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]


def _samples(name: str, values: Mapping[_Labels, float]) -> Iterator[str]:
    for labels, value in sorted(values.items()):
        text = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels)
        yield f"{name}{{{text}}} {value!r}"


def _escaped(label: str) -> str:
    # A carriage return would end a line for some readers, and has no escape of its own.
    text = label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return text.replace("\r", " ").encode("utf-8", "replace").decode()


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
