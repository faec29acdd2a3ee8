"""New versions of a file, and the service manager."""

import os
import signal
import socket
import threading
from pathlib import Path

from device import models

from .test_serving import ROW, Serve


def replace_file(path: Path, raw: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(raw)
    new.rename(path)


def test_a_new_version_answers_without_a_failed_request(serve: Serve, tiny: Path) -> None:
    service = serve(tiny, "--watch", "--threads", "2")
    stop = threading.Event()
    answers: list[tuple[int, int]] = []

    def ask() -> None:
        while not stop.is_set():
            status, answer = service.request("/predict", ROW)
            answers.append((status, answer["version"]))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in range(2, 6):
        replace_file(tiny, models.classifier().sealed(version=version))
        service.wait_for_log("reloaded", version - 1)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert {status for status, _ in answers} == {200}
    assert {2, 3, 4} <= {version for _, version in answers}
    assert service.request("/predict", ROW)[1]["version"] == 5
    assert [entry["version"] for entry in service.wait_for_log("reloaded")] == [2, 3, 4, 5]


def test_a_bad_version_leaves_the_old_one_in_place(serve: Serve, tiny: Path) -> None:
    service = serve(tiny)
    good = models.classifier().sealed(version=2)
    wrong = models.classifier()
    answers = {**wrong.manifest.golden.answers, "predict": ["Adelie"] * 3}
    golden = type(wrong.manifest.golden)(wrong.manifest.golden.rows, answers)
    for count, raw in enumerate(
        [good[:-1], b"", wrong.sealed(golden=golden), models.classifier().sealed(name="other")], 1
    ):
        replace_file(tiny, raw)
        service.process.send_signal(signal.SIGHUP)
        service.wait_for_log("reload_refused", count)
        assert service.request("/predict", ROW)[1]["version"] == 1
    tiny.unlink()
    service.process.send_signal(signal.SIGHUP)
    service.wait_for_log("reload_refused", 5)
    assert service.request("/health/ready")[0] == 200
    tiny.write_bytes(good)
    service.process.send_signal(signal.SIGHUP)
    service.wait_for_log("reloaded")
    assert service.request("/predict", ROW)[1]["version"] == 2


def test_a_switched_link_is_a_new_version(serve: Serve, tmp_path: Path) -> None:
    """As kit and deploy switch: `current` points to another folder."""
    model = tmp_path / "models/tiny"
    for version in (1, 2):
        (model / str(version)).mkdir(parents=True)
        raw = models.classifier().sealed(version=version)
        (model / str(version) / "model.onnx").write_bytes(raw)
    (model / "current").symlink_to("1")
    service = serve("tiny", "--models", tmp_path / "models", "--watch")
    (model / "new").symlink_to("2")
    (model / "new").rename(model / "current")
    service.wait_for_log("reloaded")
    assert service.request("/predict", ROW)[1]["version"] == 2


def test_the_service_manager_is_told_of_every_state(
    serve: Serve, tiny: Path, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "1000000",
        }
        service = serve(tiny, env=environment)
        assert manager.recv(1000) == b"READY=1"
        assert manager.recv(1000) == b"WATCHDOG=1"
        service.process.send_signal(signal.SIGHUP)
        states = [manager.recv(1000) for _ in range(8)]
        reloading = next(i for i, state in enumerate(states) if state.startswith(b"RELOADING=1\n"))
        assert b"MONOTONIC_USEC=" in states[reloading]
        assert b"READY=1" in states[reloading + 1 :]
        service.process.send_signal(signal.SIGTERM)
        while manager.recv(1000) != b"STOPPING=1":
            pass
        assert service.process.wait(30) == 0
