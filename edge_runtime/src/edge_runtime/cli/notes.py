"""What a person is to be told beside the results: to standard error, or to nobody."""

from __future__ import annotations

import sys

__all__ = ["note"]


def note(message: str = "", *, end: str = "\n") -> None:
    """Print *message* to standard error.

    Where that is closed nobody listens: ``print(file=None)`` would print among the results.
    """
    if sys.stderr is not None:
        print(message, end=end, file=sys.stderr, flush=True)
