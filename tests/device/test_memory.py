"""Too little memory gives a clear error, never a wrong prediction."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from device.hostile import IDENTITY_OUTPUT, described, graph, node, number
from device.tiny_onnx import integer, message, tensor
from edge_runtime.bundle.layout import pack

SOURCE = """
import os, resource, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy, onnxruntime
import edge_runtime
with open("/proc/self/status") as file:
    (held,) = [int(line.split()[1]) * 1024 for line in file if line.startswith("VmData")]
resource.setrlimit(resource.RLIMIT_DATA, (held + int(sys.argv[2]) * 2**20,) * 2)
try:
    print(edge_runtime.load(sys.argv[1]).predict([[1.0, 2.0, 3.0]]).tolist())
except edge_runtime.NotEnoughMemoryError as error:
    print(isinstance(error, MemoryError), "not enough memory" in str(error))
"""


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that holds 16 MB of zeros, the largest of which it adds to the row."""
    numbers = np.zeros(2_000_000)
    nodes = [
        node("ReduceMax", ["large"], ["most"], number("keepdims", 0)),
        node("Add", ["numbers", "most"], ["predict"]),
    ]
    whole = graph(
        nodes,
        inputs=[("numbers", "float64", [None, 3])],
        outputs=[IDENTITY_OUTPUT],
        initializers=[tensor("large", numbers)],
    )
    raw = integer(1, 10) + message(8, message(1, "") + integer(2, 21)) + message(7, whole)
    path = tmp_path_factory.mktemp("large") / "large.onnx"
    path.write_bytes(pack(raw, described()))
    return path


@pytest.mark.slow
@pytest.mark.native("QEMU does not pass RLIMIT_DATA on to the kernel, which would hit QEMU itself")
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_a_model_that_finds_no_memory_says_so_or_answers(large_file: Path) -> None:
    outputs = set()
    for megabytes in (1, 8, 24, 36, 60, 400):
        call = [sys.executable, "-c", SOURCE, large_file, str(megabytes)]
        process = subprocess.run(call, capture_output=True, text=True, check=False)
        assert process.returncode == 0, f"{megabytes} MB: {process.stderr}"
        outputs.add(process.stdout.strip())
    assert outputs == {"True True", "[[1.0, 2.0, 3.0]]"}
