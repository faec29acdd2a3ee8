"""Add the options of ``edge-runtime serve`` to its parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable

__all__ = ["add_serve_options"]


def add_serve_options(serve: argparse.ArgumentParser) -> None:
    """Add the models, the address, the token and the limits."""
    serve.add_argument(
        "files", metavar="FILE", nargs="*", help="bundles, or names of models (default: all models)"
    )
    serve.add_argument("--models", metavar="DIR", help="folder of the models that have names")
    serve.add_argument(
        "--trust-store", metavar="FOLDER", help="trust the keys in this folder alone"
    )
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    serve.add_argument(
        "--port",
        type=_whole_number(0, 65_535),
        default=8080,
        help="port to listen on; 0: a free one (default: 8080)",
    )
    serve.add_argument("--unix", metavar="PATH", help="listen on a Unix socket, not on a port")
    serve.add_argument(
        "--token-file", metavar="FILE", help="requests must bring the token in this file"
    )
    serve.add_argument(
        "--watch", action="store_true", help="answer with new versions of the files by itself"
    )
    serve.add_argument(
        "--request-log",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether each request is a line of the log (default: yes)",
    )
    _add_limits(serve)


def _add_limits(serve: argparse.ArgumentParser) -> None:
    limits = serve.add_argument_group("limits")
    limits.add_argument(
        "--threads",
        dest="predictions_at_once",
        type=_whole_number(1, 64),
        metavar="N",
        help="requests that predict at the same time (default: 2)",
    )
    limits.add_argument(
        "--max-body-bytes",
        type=_whole_number(1, 1 << 30),
        metavar="N",
        help="largest body of a request (default: 4000000)",
    )
    limits.add_argument(
        "--max-rows",
        type=_whole_number(1, 1_000_000),
        metavar="N",
        help="most rows in a request (default: 10000)",
    )
    limits.add_argument(
        "--max-connections",
        type=_whole_number(1, 10_000),
        metavar="N",
        help="most connections at once (default: 100)",
    )
    limits.add_argument(
        "--queue-seconds",
        type=_seconds,
        metavar="S",
        help="longest wait of a request before the answer is 503 (default: 1)",
    )
    limits.add_argument(
        "--request-seconds",
        type=_seconds,
        metavar="S",
        help="longest time to receive a request, or to send an answer (default: 30)",
    )


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) < 12
        if not (is_number and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"expected {least} to {most}, found {text!r}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected up to 3600 seconds, found {text!r}")
    return seconds
