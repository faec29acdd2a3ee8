"""Limits of what one request, and all requests together, may cost."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServiceLimits"]


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Limits of a service; a request beyond one is refused before it costs more.

    JSON may be nested as deep as :data:`edge_runtime.bundle.json_reader.MAX_DEPTH`.  A WSGI server
    of your own has its own settings in place of the last four.

    Attributes
    ----------
    max_body_bytes
        Largest body, and largest body after gzip is undone.
    max_rows
        Most rows in a request.
    max_answer_values
        Most numbers in an answer: of a model with many classes, a request may have fewer rows.
    predictions_at_once
        Requests that may predict at the same time; others wait.
    queue_seconds
        Longest wait for a turn, after which the answer is 503.
    max_header_bytes
        Largest head of a request.
    max_connections
        Most connections; further ones wait in the kernel's queue.
    request_seconds
        Longest time that a client may take to send a request, or to read its answer.
    idle_seconds
        Longest time that a connection may stay open without a request.
    """

    max_body_bytes: int = 4_000_000
    max_rows: int = 10_000
    max_answer_values: int = 1_000_000
    predictions_at_once: int = 2
    queue_seconds: float = 1.0
    max_header_bytes: int = 16_384
    max_connections: int = 100
    request_seconds: float = 30.0
    idle_seconds: float = 60.0

    def rows_of(self, values_per_row: int) -> int:
        """Return the most rows of a request whose answer has so many numbers for each of them."""
        return max(1, min(self.max_rows, self.max_answer_values // max(1, values_per_row)))
