"""Follow what a person does: push the samples of a sensor into a stream, print each change.

    python follow.py motion.onnx recorded.csv

Needs edge-runtime alone.  Rate, window and channels come from the sealed file.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import edge_runtime

CHUNK = 10
"""Samples that the sensor's FIFO holds when it is read."""


def main() -> int:
    """Print a line whenever the state changes; return 1 after an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="the sealed file")
    parser.add_argument("recorded", type=Path, help="a CSV file with a column for each channel")
    options = parser.parse_args()
    try:
        with edge_runtime.load(options.model) as model:
            stream = edge_runtime.Stream(model, majority=3)
            follow(stream, recorded(options.recorded, stream))
    except (edge_runtime.EdgeRuntimeError, OSError, KeyError, ValueError) as error:
        print(f"follow: {error}", file=sys.stderr)
        return 1
    return 0


def follow(stream: edge_runtime.Stream, chunks: Iterator[tuple[list[list[float]], float]]) -> None:
    """Print each change of the state, what happened to the stream, and the real-time factor."""
    state, busy, n_samples = None, 0.0, 0
    for samples, seconds in chunks:
        start = time.perf_counter()
        answers = stream.push(samples, seconds)
        busy += time.perf_counter() - start
        n_samples += len(samples)
        for answer in answers:
            for flag in answer.flags:
                print(f"{answer.time:7.1f} s  {flag}", file=sys.stderr)
            if answer.prediction != state:
                state = answer.prediction
                print(f"{answer.time:7.1f} s  {state}", flush=True)
    factor = busy * stream.rate / max(1, n_samples)
    print(f"real-time factor {factor:.4f}", file=sys.stderr)


def recorded(path: Path, stream: edge_runtime.Stream) -> Iterator[tuple[list[list[float]], float]]:
    """Yield the samples of a recording, and the time of the first of each chunk."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [[float(row[name]) for name in stream.channels] for row in csv.DictReader(file)]
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK], start / stream.rate


if __name__ == "__main__":
    sys.exit(main())
