"""Tell systemd that the service is ready, well or stopping (sd_notify(3), without its library)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

__all__ = ["notifier", "watchdog_seconds"]


def notifier(environment: Mapping[str, str]) -> Callable[..., None]:
    """Return a function that sends lines to the manager, or does nothing without one."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return lambda *_: None
    if address.startswith("@"):  # an abstract socket
        address = f"\0{address[1:]}"

    def notify(*lines: str) -> None:
        # A manager that has gone must not end the service.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto("\n".join(lines).encode(), address)

    return notify


def watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Return the time within which the manager expects a sign of life; None for no watchdog."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None
