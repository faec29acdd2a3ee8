"""Compare ways to compute real Fourier transforms in onnxruntime: DFT, one product, ours.

    python benchmarks/fourier.py [--lengths 64 400 1024] [--rows 1 61] [--repeats 30]

Prints JSON: the median microseconds of a call, the largest error against numpy.fft.rfft (relative
to the largest magnitude), and the bytes of each graph.  All run in one process with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import edge_pipeline
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.preprocessing import FunctionTransformer


def main() -> None:
    """Print the figures of every length, number of rows and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 256, 400, 512, 1000, 1024])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 61])
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    figures = []
    for n in options.lengths:
        graphs = {"dft": dft(n), "one product": one_product(n), "ours": ours(n)}
        for n_rows in options.rows:
            x = np.random.default_rng(n).normal(size=(n_rows, n))
            for way, graph in graphs.items():
                figures.append({"length": n, "rows": n_rows, "way": way, "bytes": len(graph)})
                figures[-1].update(measure(graph, x, options.repeats))
    print(json.dumps({"onnxruntime": onnxruntime.__version__, "figures": figures}, indent=1))


def measure(graph: bytes, x: Any, repeats: int) -> dict[str, float]:
    """Run *graph* on *x*; its output is real and imaginary parts, side by side."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, settings)
    name = session.get_inputs()[0].name
    expected = np.fft.rfft(x)
    (output,) = session.run(None, {name: x})
    output = output.reshape(len(x), -1)
    half = output.shape[1] // 2
    error = np.abs(output[:, :half] + 1j * output[:, half:] - expected).max()
    return {
        "us": median_us(lambda: session.run(None, {name: x}), repeats),
        "error": float(error / np.abs(expected).max()),
    }


def median_us(call: Callable[[], Any], repeats: int) -> float:
    """Return the median duration of *call* in microseconds."""
    durations = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return round(float(np.median(durations[2:])) * 1e6, 1)


def dft(n: int) -> bytes:
    """Make a graph of the operator DFT."""
    nodes = [
        helper.make_node("Unsqueeze", ["x", "last"], ["columns"]),
        helper.make_node("DFT", ["columns", "", "axis"], ["pairs"], onesided=1),
        helper.make_node("Transpose", ["pairs"], ["y"], perm=[0, 2, 1]),
    ]
    constants = [
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        helper.make_tensor("axis", TensorProto.INT64, [], [1]),
    ]
    return _graph(nodes, constants, n)


def one_product(n: int) -> bytes:
    """Make a graph of one product by cosines and sines."""
    angles = 2 * np.pi * ((np.arange(n)[:, np.newaxis] * np.arange(n // 2 + 1)) % n) / n
    matrix = np.concatenate([np.cos(angles), -np.sin(angles)], axis=1)
    node = helper.make_node("MatMul", ["x", "W"], ["y"])
    return _graph([node], [numpy_helper.from_array(matrix, "W")], n)


def ours(n: int) -> bytes:
    """Make the graph that export traces."""

    def parts(x: Any) -> Any:
        spectrum = np.fft.rfft(x)
        return np.concatenate([spectrum.real, spectrum.imag], axis=1)

    return edge_pipeline.convert(FunctionTransformer(parts), np.ones((2, n))).graph


def _graph(nodes: list[Any], constants: list[Any], n: int) -> bytes:
    inputs = [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, n])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)]
    graph = helper.make_graph(nodes, "fourier", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 21)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    serialized: bytes = model.SerializeToString()
    return serialized


if __name__ == "__main__":
    main()
