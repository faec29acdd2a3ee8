"""Promise 6: no network, and onnxruntime's telemetry is off before its library is loaded.

Audit hooks see the connections of Python; those of native code show as open sockets.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("promises")

WATCH = """
import json, os, sys
calls, telemetry = [], []

def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        calls.append(event)
    elif event == "import" and arguments[0].partition(".")[0] == "onnxruntime":
        telemetry.append(os.environ.get("ORT_DISABLE_TELEMETRY"))

sys.addaudithook(watch)
"""

REPORT = """
def is_socket(number):
    try:
        return os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
    except OSError:
        return False

n_sockets = sum(map(is_socket, os.listdir("/proc/self/fd")))
print()
print(json.dumps({"calls": calls, "telemetry": telemetry, "sockets": n_sockets}))
"""

PREDICT = """
import edge_runtime
from edge_runtime.bundle.manifest import cell_from_json
with edge_runtime.load(sys.argv[1]) as model:
    rows = [
        dict(zip(model.schema.names, map(cell_from_json, row)))
        for row in model.manifest.golden.rows
    ]
    model.predict(rows)
    model.predict_one(rows[0])
"""

BUILD = """
import edge_pipeline
edge_pipeline.build(sys.argv[1], output=sys.argv[2], report=True)
"""


def network_calls(
    run: Callable[..., str], source: str, *arguments: Path, **environment: str
) -> dict:
    return json.loads(run(WATCH + source + REPORT, *arguments, **environment).splitlines()[-1])


@pytest.fixture(scope="module")
def device(in_new_process: Callable[..., str], bundle_path: Path) -> dict:
    return network_calls(in_new_process, PREDICT, bundle_path)


@pytest.fixture(scope="module")
def build_machine(
    in_new_process: Callable[..., str], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict:
    output = tmp_path_factory.mktemp("built") / "penguins.onnx"
    return network_calls(in_new_process, BUILD, root / "models/penguins/recipe.toml", output)


def test_the_device_opens_no_connection(device: dict) -> None:
    assert (device["calls"], device["sockets"]) == ([], 0)


@pytest.mark.slow
def test_the_build_machine_opens_no_connection(build_machine: dict) -> None:
    assert (build_machine["calls"], build_machine["sockets"]) == ([], 0)


def test_the_device_turns_telemetry_off_first(device: dict) -> None:
    assert set(device["telemetry"]) == {"1"}


def test_the_build_machine_turns_telemetry_off_first(
    build_machine: dict,
) -> None:
    assert set(build_machine["telemetry"]) == {"1"}


@pytest.mark.parametrize("package", ["edge_runtime", "edge_pipeline"])
def test_an_administrators_setting_is_respected(
    in_new_process: Callable[..., str], package: str
) -> None:
    source = f"import {package}, os\nprint(os.environ.get('ORT_DISABLE_TELEMETRY'))"
    assert in_new_process(source, ORT_DISABLE_TELEMETRY="0").strip() == "0"


def test_a_connection_and_a_missing_setting_are_detected(
    in_new_process: Callable[..., str],
) -> None:
    source = """
import socket
connection = socket.socket()
try:
    connection.connect(("127.0.0.1", 9))
except OSError:
    pass
import onnxruntime
"""
    report = network_calls(in_new_process, source)
    assert "socket.connect" in report["calls"]
    assert report["sockets"] == 1
    assert None in report["telemetry"]
