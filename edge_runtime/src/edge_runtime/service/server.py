"""Run a WSGI callable on a socket with waitress, within limits of time, queue and connections.

waitress reads requests and writes answers in one thread, however slow a client is, and calls the
application in a few others.  Here are the limits that it lacks: how long a request may take to
arrive, how long an answer may take to leave, and how long a request has waited.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from edge_runtime.service.limits import ServiceLimits

__all__ = ["Server"]

CLEANUP_SECONDS = 1.0
"""Time between two looks at connections that may be too slow."""

SPARE_THREADS = 2
"""Threads besides those that predict, so that health is answered while all of them do."""

MEMORY_BYTES = 65_536
"""Bytes of a body or an answer that stay in memory; the rest waits in a temporary file."""


class Server:
    """Answers requests that come to a socket, until it is stopped.

    Parameters
    ----------
    application
        The WSGI callable.
    listener
        A bound socket, which the server listens on and closes.
    limits
        See :class:`ServiceLimits`.

    Raises
    ------
    ImportError
        waitress is not installed.
    """

    def __init__(
        self, application: Callable[..., Any], listener: socket.socket, limits: ServiceLimits
    ) -> None:
        from waitress import wasyncore
        from waitress.server import create_server
        from waitress.task import ThreadedTaskDispatcher

        self._limits = limits
        self._is_stopping = False
        self._looked_at = time.monotonic()
        self._map: dict[int, Any] = {}
        self._wasyncore = wasyncore

        class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
            def add_task(self, task: Any) -> None:
                task.queued_at = time.monotonic()
                super().add_task(task)

        dispatcher = Dispatcher()
        dispatcher.set_thread_count(limits.predictions_at_once + SPARE_THREADS)
        self._dispatcher = dispatcher
        self._server = create_server(
            application,
            map=self._map,
            _dispatcher=dispatcher,
            sockets=[listener],
            backlog=128,
            # The map also holds the listener and the trigger.
            connection_limit=limits.max_connections + 2,
            channel_timeout=limits.idle_seconds,
            cleanup_interval=CLEANUP_SECONDS,
            max_request_header_size=limits.max_header_bytes,
            # The application has the same limit, and a better answer.
            max_request_body_size=2 * limits.max_body_bytes,
            inbuf_overflow=MEMORY_BYTES,
            outbuf_overflow=MEMORY_BYTES,
            ident=None,
            expose_tracebacks=False,
            clear_untrusted_proxy_headers=True,
            log_untrusted_proxy_headers=False,
        )
        self._server.channel_class = _channel_class()

    def run(self, at_stop: Callable[[], None]) -> None:
        """Answer requests until :meth:`stop`; then answer those that have begun to arrive.

        *at_stop* is called before the latter.
        """
        next_cleanup = 0.0
        while not self._is_stopping:
            self._looked_at = time.monotonic()
            self._wasyncore.loop(timeout=CLEANUP_SECONDS, map=self._map, use_poll=True, count=1)
            if time.monotonic() >= next_cleanup:
                self._close_slow_connections()
                next_cleanup = time.monotonic() + CLEANUP_SECONDS
        at_stop()
        self._drain()
        self._dispatcher.shutdown(cancel_pending=True, timeout=self._limits.request_seconds)
        self._wasyncore.close_all(self._map)

    def stop(self) -> None:
        """Let :meth:`run` end soon; a signal handler or another thread may call this."""
        self._is_stopping = True
        self._server.pull_trigger()

    def is_reading(self) -> bool:
        """Whether :meth:`run` has looked at its connections within the last seconds."""
        return time.monotonic() - self._looked_at < 10 * CLEANUP_SECONDS

    def _drain(self) -> None:
        """Accept no more connections, and end when no connection has work left."""
        for _ in range(self._limits.max_connections):  # those that the kernel has accepted
            n_connections = len(self._map)
            self._server.handle_accept()
            if len(self._map) == n_connections:
                break
        self._wasyncore.dispatcher.close(self._server)
        end = time.monotonic() + self._limits.request_seconds
        # A connection that was just accepted gets a moment to send its request.
        idle_from = time.monotonic() + 0.2
        while time.monotonic() < end:
            channels = list(self._server.active_channels.values())
            are_all_idle = not any(_is_busy(channel) for channel in channels)
            if are_all_idle and (not channels or time.monotonic() >= idle_from):
                return
            self._wasyncore.loop(timeout=0.05, map=self._map, use_poll=True, count=1)

    def _close_slow_connections(self) -> None:
        oldest = time.monotonic() - self._limits.request_seconds
        channels = list(self._server.active_channels.values())
        # Where all places are taken, a connection without a request gives way to a new one.
        is_full = len(channels) >= self._limits.max_connections
        for channel in channels:
            is_idle = (
                not _is_busy(channel) and time.time() - channel.last_activity > CLEANUP_SECONDS
            )
            is_sending = channel.request is not None and channel.first_byte_at < oldest
            is_reading = (
                bool(channel.total_outbufs_len)
                and not channel.requests
                and channel.answered_at < oldest
            )
            if is_sending or is_reading or (is_full and is_idle):
                channel.will_close = True


def _is_busy(channel: Any) -> bool:
    return bool(channel.requests or channel.request is not None or channel.total_outbufs_len)


def _channel_class() -> type[Any]:
    from waitress.channel import HTTPChannel

    class Channel(HTTPChannel):  # type: ignore[misc]
        """A connection that knows since when it waits, and for what."""

        queued_at = first_byte_at = answered_at = 0.0

        def received(self, data: bytes) -> bool:
            if self.request is None:
                self.first_byte_at = time.monotonic()
            is_read: bool = super().received(data)
            return is_read

        def service(self) -> None:
            # The application reads this as HTTP_EDGE_QUEUED_SECONDS; a client cannot set it.
            headers = self.requests[0].headers
            headers["EDGE_QUEUED_SECONDS"] = f"{time.monotonic() - self.queued_at:.3f}"
            self.answered_at = time.monotonic() + 3600.0  # not before the answer is complete
            super().service()
            self.answered_at = time.monotonic()

    return Channel
