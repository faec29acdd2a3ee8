"""Real processes of ``edge-runtime serve`` on loopback, on ports that the system chooses."""

import http.client
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from device import models


class Service:
    """A running service."""

    def __init__(self, process: subprocess.Popen[str], address: str, log: Path) -> None:
        self.process, self.address, self._log = process, address, log

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def request(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send one request; give the status and the answer, parsed if it is JSON."""
        connection = self.connection()
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(
                "GET" if body is None else "POST", path, raw, {**kind, **(headers or {})}
            )
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        is_json = response.getheader("Content-Type") == "application/json"
        return response.status, json.loads(text) if is_json else text

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the log; each must be JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def wait_for_log(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until the log has *count* lines of *event*; return them."""
        for _ in range(300):
            lines = [line for line in self.log() if line["event"] == event]
            if len(lines) >= count:
                return lines
            time.sleep(0.1)
        raise AssertionError(f"no {event} in {self.log()}")

    def end(self) -> int:
        """Send SIGTERM, and give the exit code."""
        self.process.terminate()
        return self.process.wait(30)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services, and end them after the test."""
    pytest.importorskip("waitress")
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: Any) -> Service:
        log = tmp_path / f"log-{len(processes)}.jsonl"
        command = [Path(sys.executable).with_name("edge-runtime"), "serve", *map(str, arguments)]
        if "--unix" not in arguments:
            command += ["--port", "0"]
        with log.open("w") as stderr:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, **options
            )
        processes.append(process)
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], "it does not listen"
        line = process.stdout.readline()
        assert line.startswith("listening on "), log.read_text()
        return Service(process, line.split()[-1], log)

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    pytest.importorskip("waitress")
    path = tmp_path / "tiny.onnx"
    path.write_bytes(models.classifier().sealed())
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.onnx"
    path.write_bytes(models.mixed().sealed(name="mixed"))
    return path
