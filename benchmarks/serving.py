"""Time HTTP requests of one row: edge-runtime serve beside two services written by hand.

``python benchmarks/serving.py > serving.json``; needs flask, fastapi, uvicorn and waitress.  The
three serve the same sealed file with the same library, and answer the same JSON object.  They take
turns, in an order that changes; only ratios of one run are to be compared.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
from measuring import machine
from sklearn.ensemble import RandomForestClassifier

FLASK = """
import sys
import flask, waitress
import edge_runtime
model = edge_runtime.load(sys.argv[1])
app = flask.Flask("hand")

@app.post("/predict")
def predict():
    label, probabilities = model.predict_proba_one(flask.request.get_json())
    return {"prediction": label, "probabilities": {str(k): v for k, v in probabilities.items()}}

waitress.serve(app, host="127.0.0.1", port=int(sys.argv[2]), threads=4)
"""

FASTAPI = """
import sys
import fastapi, uvicorn
import edge_runtime
model = edge_runtime.load(sys.argv[1])
app = fastapi.FastAPI()

@app.post("/predict")
def predict(row: dict[str, float]):
    label, probabilities = model.predict_proba_one(row)
    return {"prediction": label, "probabilities": {str(k): v for k, v in probabilities.items()}}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
"""

COLUMNS = [f"x{i}" for i in range(12)]


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=3, help="turns of each service")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forest.onnx"
        export_forest(path)
        services = {
            "edge-runtime serve": [
                str(Path(sys.executable).with_name("edge-runtime")), "serve", str(path),
                "--no-request-log", "--queue-seconds", "30", "--port",
            ],
            "Flask and waitress": [sys.executable, "-c", FLASK, str(path)],
            "FastAPI and uvicorn": [sys.executable, "-c", FASTAPI, str(path)],
        }  # fmt: skip
        turns: dict[str, list[dict[str, Any]]] = {name: [] for name in services}
        names = list(services)
        for block in range(options.blocks):
            for name in names[block % len(names) :] + names[: block % len(names)]:
                turns[name].append(turn(services[name], options.clients, options.seconds))
    figures = {name: medians(entries) for name, entries in turns.items()}
    settings = {"blocks": options.blocks, "seconds": options.seconds}
    print(json.dumps({"machine": machine(), **settings, "figures": figures}, indent=2))


def export_forest(path: Path) -> None:
    """Export a forest of 100 trees on 12 columns."""
    import pandas as pd

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(2000, len(COLUMNS))), columns=COLUMNS)
    y = (X.to_numpy() @ rng.normal(size=len(COLUMNS)) > 0).astype(int)
    forest = RandomForestClassifier(100, max_depth=10, random_state=0).fit(X, y)
    edge_pipeline.export(forest, X, path, name="forest")


def turn(command: list[str], clients: list[int], seconds: float) -> dict[str, Any]:
    """Start a service, time it with each number of clients, and end it."""
    port = free_port()
    with running([*command, str(port)], port) as (process, start_ms):
        entry: dict[str, Any] = {"start_ms": start_ms, "rest_mb": resident_mb(process.pid)}
        for n_clients in clients:
            entry[f"{n_clients} clients"] = load(port, n_clients, seconds)
    return entry


@contextmanager
def running(command: list[str], port: int) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Start a service; give it and the time to its first answer."""
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        while True:
            if time.perf_counter() - started > 60:
                raise TimeoutError(f"no answer of {command[:3]} within 60 s")
            try:
                if predict(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) == 200:
                    break
            except OSError:
                time.sleep(0.01)
        yield process, 1000 * (time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait(30)


BODY = json.dumps(dict.fromkeys(COLUMNS, 0.5))


def predict(connection: http.client.HTTPConnection) -> int:
    """Send one row, and read the answer."""
    connection.request("POST", "/predict", BODY, {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    return response.status


def load(port: int, n_clients: int, seconds: float) -> dict[str, float]:
    """Let clients ask as fast as they are answered; each keeps its connection."""
    end = time.perf_counter() + seconds
    latencies: list[list[float]] = [[] for _ in range(n_clients)]

    def ask(own: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (started := time.perf_counter()) < end:
            if predict(connection) != 200:
                raise RuntimeError("a request failed")
            own.append(time.perf_counter() - started)
        connection.close()

    threads = [threading.Thread(target=ask, args=(own,)) for own in latencies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(1000 * latency for own in latencies for latency in own)
    return {
        "requests_a_second": len(times) / seconds,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[int(0.99 * len(times))],
    }


def resident_mb(pid: int) -> float:
    """Return the memory that a process has in use, shared pages included."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def free_port() -> int:
    """Return a port that nobody listens on."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def medians(entries: list[Any]) -> Any:
    """Return the median of every figure, and the least and the largest."""
    if isinstance(entries[0], dict):
        return {key: medians([entry[key] for entry in entries]) for key in entries[0]}
    figures = [statistics.median(entries), min(entries), max(entries)]
    return dict(zip(("median", "low", "high"), (round(f, 2) for f in figures), strict=True))


if __name__ == "__main__":
    main()
