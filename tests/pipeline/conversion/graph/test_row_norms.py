"""Squared lengths of rows equal those of numpy and of BLAS to the last bit."""

import os
import platform
import signal
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from edge_pipeline.conversion.graph.builder import Graph
from edge_pipeline.conversion.graph.row_norms import blas_lengths, numpy_lengths, probed_kernel
from scipy.linalg.blas import ddot

WIDTHS = [1, 2, 5, 8, 13, 16, 20, 31, 32, 40, 48, 77, 100]

CORES = ["", "Haswell", "Zen", "SkylakeX", "Cooperlake", "Sandybridge", "Bulldozer", "Nehalem"]
"""Values of OPENBLAS_CORETYPE whose ddot has a kernel in row_norms; "" leaves it unset."""


def lengths_of(rows: np.ndarray, lengths) -> np.ndarray:
    """Run *lengths* as a graph over *rows*."""
    graph = Graph()
    numbers = graph.input("numbers", np.float64, (None, rows.shape[1]))
    graph.output("lengths", lengths(numbers))
    session = onnxruntime.InferenceSession(graph.to_model("1").SerializeToString())
    return session.run(None, {"numbers": rows})[0][:, 0]


def rows_of_all_sizes(width: int) -> np.ndarray:
    generator = np.random.default_rng(width)
    return generator.normal(size=(50, width)) * 10.0 ** generator.normal(size=(50, width))


@pytest.mark.parametrize("width", WIDTHS)
def test_lengths_equal_einsum_to_the_last_bit(width):
    rows = rows_of_all_sizes(width)
    np.testing.assert_array_equal(
        lengths_of(rows, numpy_lengths), np.einsum("ij,ij->i", rows, rows)
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_lengths_equal_ddot_to_the_last_bit(width):
    rows = rows_of_all_sizes(width)
    expected = [ddot(row, row) for row in rows]
    np.testing.assert_array_equal(lengths_of(rows, blas_lengths), expected)


def child_with_core(core: str) -> subprocess.CompletedProcess[str]:
    """Run this file as a program, in which OpenBLAS takes the kernels of *core*."""
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    if core:
        environment["OPENBLAS_CORETYPE"] = core
    return subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are cores of x86-64")
@pytest.mark.parametrize("core", CORES)
def test_lengths_equal_ddot_of_every_core_with_lanes(core):
    """Every kernel of row_norms is run: OpenBLAS honours the variable where the CPU can."""
    child = child_with_core(core)
    if child.returncode == -signal.SIGILL:
        pytest.skip(f"this processor lacks an instruction of {core}")
    assert child.returncode == 0, child.stderr
    assert child.stdout == "kernel\n"


def test_lengths_stay_near_where_no_kernel_fits():
    """On Prescott the order of summation depends on the address of a row: no graph has it."""
    child = child_with_core("Prescott")
    assert child.returncode == 0, child.stderr


if __name__ == "__main__":
    kernel = probed_kernel()
    print("kernel" if kernel else "no kernel")
    for columns in WIDTHS:
        table = rows_of_all_sizes(columns)
        expected = np.array([ddot(row, row) for row in table])
        tolerance = 0.0 if kernel else 1e-14
        np.testing.assert_allclose(lengths_of(table, blas_lengths), expected, rtol=tolerance)
