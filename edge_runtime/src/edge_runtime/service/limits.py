"""Limits of what one request may cost."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServiceLimits"]


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Limits of a service; a request beyond one is refused before it costs more.

    Attributes
    ----------
    max_body_bytes
        Largest body, and largest body after gzip is undone.
    max_rows
        Most rows in a request.
    predictions_at_once
        Requests that may predict at the same time; others wait.
    queue_seconds
        Longest wait for a turn, after which the answer is 503.
    """

    max_body_bytes: int = 4_000_000
    max_rows: int = 10_000
    predictions_at_once: int = 2
    queue_seconds: float = 1.0
