"""Run ``edge-runtime stream``: predict samples as they come, a line for each window."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import Any, BinaryIO

from edge_runtime.cli.console import json_text, note, print_line
from edge_runtime.cli.prediction_writers import csv_text
from edge_runtime.cli.sample_sources import format_of_samples, read_samples
from edge_runtime.cli.trust import trusted_keys
from edge_runtime.engine.selection import Engine
from edge_runtime.errors import InputError
from edge_runtime.loading import load
from edge_runtime.records import record
from edge_runtime.stream import Answer, Stream, check_rate

__all__ = ["StreamOptions", "print_stream"]


@record(frozen=True)
class StreamOptions:
    """The arguments of the command."""

    bundle: str
    source: str
    format: str | None
    pcm: str
    rate: float | None
    method: str
    majority: int
    hysteresis: int
    as_json: bool
    trust_store: str | None
    engine: Engine


def print_stream(options: StreamOptions) -> int:
    """Predict a stream until it ends; print answers to stdout, what happened to it to stderr."""
    keys = trusted_keys(options.trust_store)
    with load(options.bundle, trusted_keys=keys, engine=options.engine) as model:
        try:
            stream = Stream(
                model,
                rate=options.rate,
                method=options.method,
                majority=options.majority,
                hysteresis=options.hysteresis,
            )
        except ValueError as error:
            raise InputError(str(error)) from error
        with _opened(options.source) as source:
            _predict(stream, source, options)
    return 0


def _predict(stream: Stream, source: BinaryIO, options: StreamOptions) -> None:
    form = options.format or format_of_samples(options.source)
    rate, chunks = read_samples(source, form, stream.settings, pcm=options.pcm)
    if rate is not None:  # the header of a WAV file
        check_rate(rate, stream.rate)
    if not options.as_json:
        print_line("time,prediction,flags")
    n_samples, busy = 0, 0.0
    for samples, seconds in chunks:
        start = time.perf_counter()
        answers = stream.push(samples, seconds)
        busy += time.perf_counter() - start
        n_samples += len(samples)
        for answer in answers:
            print_line(_as_json(answer) if options.as_json else _as_csv(answer))
        if answers:
            sys.stdout.flush()
    for flag in stream.pending_flags:
        note(f"edge-runtime: at the end: {flag}")
    duration = n_samples / stream.rate
    factor = f"{busy / duration:.3g}" if duration else "unknown"
    note(f"edge-runtime: {duration:.6g} s of samples in {busy:.3g} s, real-time factor {factor}")


def _as_json(answer: Answer) -> str:
    return json_text(
        {
            "time": answer.time,
            "prediction": answer.prediction,
            "window_prediction": answer.window_prediction,
            "flags": [str(flag) for flag in answer.flags],
        }
    )


def _as_csv(answer: Answer) -> str:
    prediction = answer.prediction
    text = prediction if isinstance(prediction, str) else json_text(prediction)
    row = [f"{answer.time:.6g}", text, "; ".join(map(str, answer.flags))]
    return csv_text([row]).removesuffix("\n")


def _opened(name: str) -> Any:
    if name != "-":
        return open(name, "rb")
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file")
    return nullcontext(sys.stdin.buffer)
