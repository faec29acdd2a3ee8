"""Provide a good CSV stream for the classifier of ``models``, and its labels."""

import csv
import io
import signal
from collections.abc import Callable

from device import models

GOOD = b"x0,x1,x2\n1,2,3\n-1,0.5,0\n4,0,-2\n"
LABELS = models.labels([[1, 2, 3], [-1, 0.5, 0], [4, 0, -2]]).tolist()
Run = Callable[..., tuple[int, str, str]]


def default_signals() -> None:
    """Reset in a child (``preexec_fn``) what nohup and ``&`` ignore: SIGHUP and SIGINT."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))
