"""The command serve: real processes, real sockets."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device import models

import edge_runtime

from .conftest import Service

Serve = Callable[..., Service]
ROW = {"x0": 1.0, "x1": 2.0, "x2": 3.0}


def refused(*arguments: object, **options: Any) -> str:
    """Run the command, which must refuse; return its message."""
    command = [Path(sys.executable).with_name("edge-runtime"), "serve", *map(str, arguments)]
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert (process.returncode, process.stdout) == (1, "")
    assert "Traceback" not in process.stderr
    return process.stderr


def test_predictions_are_those_of_the_library(serve: Serve, tiny: Path) -> None:
    service = serve(tiny)
    with edge_runtime.load(tiny) as model:
        label, probabilities = model.predict_proba_one(ROW)
    for path in ("/predict", "/models/tiny/predict"):
        status, answer = service.request(path, ROW)
        assert status == 200
        assert answer["results"] == [
            {"row": 0, "prediction": label, "probabilities": probabilities}
        ]
    assert service.request("/health/ready") == (200, {"ready": True})
    assert service.end() == 0
    events = [line["event"] for line in service.log()]
    assert events == ["model", "request", "request", "request", "stopped"]
    quiet = serve(tiny, "--no-request-log")
    assert quiet.request("/predict", ROW)[0] == 200
    assert quiet.end() == 0
    assert [line["event"] for line in quiet.log()] == ["model", "stopped"]


def test_one_row_alone_gives_the_result_of_many_rows(serve: Serve, mixed: Path) -> None:
    service = serve(mixed)
    row = {"height": 1.5, "city": "Rome", "children": 2, "smoker": True, "street": "a"}
    rows = [row, {**row, "height": None, "city": None}, {**row, "children": "two"}, {"height": 1}]
    many = service.request("/predict?flags=1", rows)[1]["results"]
    for number, one in enumerate(rows):
        (alone,) = service.request("/predict?flags=1", [one])[1]["results"]
        assert {**alone, "row": number} == many[number]
    assert many[0]["flags"][0]["kind"] == "unseen_category"
    assert "error" in many[2]


def test_chunked_and_pipelined_requests_are_answered_in_order(serve: Serve, tiny: Path) -> None:
    service = serve(tiny)
    body = json.dumps(ROW).encode()
    chunked = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        + b"0\r\n\r\n"
    )
    last = b"GET /models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(chunked + last)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b'"prediction"') < answer.index(b'"models"')
    assert b"\r\nServer:" not in answer


def test_running_requests_are_answered_when_the_service_ends(serve: Serve, tiny: Path) -> None:
    service = serve(tiny)
    rows = json.dumps([ROW] * 10_000).encode()
    begun = socket.create_connection(("127.0.0.1", service.port), timeout=30)
    begun.sendall(
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(rows)
    )
    begun.sendall(rows[:1000])
    idle = service.connection()
    idle.request("GET", "/models")
    assert idle.getresponse().read()
    time.sleep(0.3)  # the head must have been read
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    begun.sendall(rows[1000:])
    response = http.client.HTTPResponse(begun)
    response.begin()
    assert response.status == 200
    assert json.loads(response.read())["predicted"] == 10_000
    begun.close()
    assert service.process.wait(30) == 0
    idle.close()


def test_a_unix_socket_answers_and_leaves_nothing(serve: Serve, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()  # as a process leaves it that was killed
    service = serve(tiny, "--unix", path)
    assert service.address == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET /models HTTP/1.0\r\n\r\n")
        assert b'"tiny"' in b"".join(iter(lambda: connection.recv(4096), b""))
    assert "another process listens" in refused(tiny, "--unix", path)
    assert service.end() == 0
    assert not path.exists()
    path.write_text("mine")
    assert "is no socket" in refused(tiny, "--unix", path)
    assert path.read_text() == "mine"


def test_other_machines_need_a_token(serve: Serve, tiny: Path, tmp_path: Path) -> None:
    assert "expected --token-file for 0.0.0.0" in refused(tiny, "--host", "0.0.0.0", "--port", 0)
    token = tmp_path / "token"
    for text, mode, message in [
        ("short", 0o600, "16 or more characters"),
        ("0123456789 abcdef", 0o600, "16 or more characters"),
        ("0123456789abcdef\n", 0o644, "chmod 600"),
    ]:
        token.write_text(text)
        token.chmod(mode)
        assert message in refused(tiny, "--token-file", token)
    token.chmod(0o600)
    service = serve(tiny, "--host", "0.0.0.0", "--token-file", token)
    assert service.request("/health/ready")[0] == 200
    assert service.request("/predict", ROW)[0] == 401
    headers = {"Authorization": "Bearer 0123456789abcdef"}
    assert service.request("/predict", ROW, headers)[0] == 200


def test_a_site_that_points_its_name_here_reads_nothing(serve: Serve, tiny: Path) -> None:
    service = serve(tiny)
    for host, status in [
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("localhost:80", 200),
        ("[::1]:80", 200),
        ("127.0.0.1", 200),
    ]:
        assert service.request("/models", headers={"Host": host})[0] == status


def test_slow_clients_cost_a_connection_and_no_thread(serve: Serve, tiny: Path) -> None:
    service = serve(tiny, "--request-seconds", "1", "--max-connections", "20", "--threads", "1")
    slow = []
    for _ in range(15):
        connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        connection.sendall(b"POST /predict HTTP/1.1\r\nContent-Le")
        slow.append(connection)
    assert service.request("/predict", ROW)[0] == 200
    for connection in slow:
        assert connection.recv(100) == b""  # closed: the request took longer than a second
        connection.close()
    assert service.request("/predict", ROW)[0] == 200


def test_more_connections_than_allowed_wait_and_are_answered(serve: Serve, tiny: Path) -> None:
    service = serve(tiny, "--max-connections", "5", "--threads", "1", "--queue-seconds", "30")
    statuses: list[int] = []

    def ask() -> None:
        for _ in range(5):
            statuses.append(service.request("/predict", ROW, {"Connection": "close"})[0])

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 100


def test_idle_connections_give_way_to_requests(serve: Serve, tiny: Path) -> None:
    service = serve(tiny, "--max-connections", "5")
    idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(8)]
    assert service.request("/predict", ROW)[0] == 200  # long before the 60 s of idle_seconds
    for connection in idle:
        connection.close()


def test_a_busy_service_answers_503_soon(serve: Serve, tiny: Path) -> None:
    service = serve(tiny, "--threads", "1", "--queue-seconds", "0.05")
    rows = json.dumps([ROW] * 10_000).encode()
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(service.request("/predict", rows)[0])

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(statuses) == {200, 503}
    assert service.request("/predict", ROW)[0] == 200


HOSTILE_HEADS = [
    (b"GET /models HTTP/1.1\r\nX: " + b"a" * 16_400, 431),
    (b"POST /predict HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
    (b"POST /predict HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
    (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GET /\xff\xfe/../../etc/passwd HTTP/1.1\r\n\r\n", 400),
    (b"BREW /predict HTTP/1.1\r\n\r\n", 405),
    (b"GET /predict\x00 HTTP/1.1\r\n\r\n", 404),
]


def test_a_hostile_head_is_refused(serve: Serve, tiny: Path) -> None:
    service = serve(tiny)
    for head, status in HOSTILE_HEADS:
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
            connection.sendall(head)
            answer = connection.recv(65536)
        assert int(answer.split()[1]) == status, head[:40]
        assert b"Traceback" not in answer
        assert str(tiny.parent).encode() not in answer
    assert service.request("/predict", ROW)[0] == 200


def test_models_have_the_names_of_their_folders(serve: Serve, tmp_path: Path) -> None:
    for name, parts in [("b", models.classifier()), ("a", models.mixed())]:
        folder = tmp_path / "models" / name / "current"
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(parts.sealed())
    service = serve("--models", tmp_path / "models")
    listed = service.request("/models")[1]["models"]
    assert [entry["model"] for entry in listed] == ["a", "b"]
    assert service.request("/models/b/predict", ROW)[0] == 200
    service = serve("b", "--models", tmp_path / "models")
    assert service.request("/predict", ROW)[1]["model"] == "b"
    assert "did you mean" in refused("bb", "--models", tmp_path / "models").lower()


def test_what_cannot_be_served_says_why(tiny: Path, mixed: Path, tmp_path: Path) -> None:
    assert "there is no model in" in refused("--models", tmp_path / "none")
    assert "two models have the name 'tiny'" in refused(tiny, tiny)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused(tiny, "--port", port)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(tiny.read_bytes()[:-9])
    assert "damaged.onnx" in refused(damaged) or "seal" in refused(damaged)
    without = tmp_path / "waitress.py"
    without.write_text("raise ImportError('No module named waitress')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert "pip install 'edge-runtime[serve]'" in refused(tiny, env=environment)
