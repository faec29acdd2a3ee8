"""Check that onnxruntime can run models here, by importing it and running it.

The list of installed packages may be wrong: two distributions may lie over each other, one may be
removed by half, or a file may be empty.  So the version counts that the imported module says.
"""

from __future__ import annotations

import platform

from edge_runtime.errors import EdgeRuntimeError, NotEnoughMemoryError, UnsupportedRuntimeError
from edge_runtime.onnxruntime_versions import (
    OLDEST_ONNXRUNTIME,
    check_version,
    installed_distributions,
    installed_onnxruntime,
)

__all__ = [
    "check_imported",
    "check_installed",
    "engine_version",
    "imported_version",
    "run_graph",
    "several_installed",
]

_DOUBLE = bytes.fromhex(
    "080a42040a0010153a3a0a0e0a01780a01781201792203416464120474696e795a10"
    "0a0178120b0a09080b12050a0312016e62100a0179120b0a09080b12050a0312016e"
)
"""A graph that computes x + x in float64."""


def check_installed(required: str) -> None:
    """Refuse, without an import, an installed onnxruntime that must not run a bundle.

    Parameters
    ----------
    required
        Oldest release that the bundle needs.

    Raises
    ------
    UnsupportedRuntimeError
        onnxruntime is missing, or must not be used.
    """
    _check_version(installed_onnxruntime(), required)


def check_imported(required: str) -> None:
    """Import onnxruntime, and refuse it if the imported release must not run a bundle.

    Raises
    ------
    UnsupportedRuntimeError
        It cannot be imported, or must not be used.
    NotEnoughMemoryError
        There is not enough memory to import it.
    """
    _check_version(imported_version(), required)


def imported_version() -> str:
    """Import onnxruntime, and return the version of its library.

    Raises
    ------
    UnsupportedRuntimeError
        It cannot be imported; the message has the cause and the remedy.
    NotEnoughMemoryError
        There is not enough memory to import it.
    """
    try:
        from edge_runtime.engine.session import VERSION
    except Exception as error:  # a damaged file may raise anything
        raise _import_error(error) from error
    return VERSION


def engine_version(engine: str) -> str:
    """Return name and version of the library that computes, as ``onnxruntime 1.32.0``."""
    if engine == "numpy":
        import numpy as np

        return f"numpy {np.__version__}"
    return f"onnxruntime {imported_version()}"


def run_graph() -> str:
    """Run a tiny graph, and return the version of onnxruntime.

    Raises
    ------
    EdgeRuntimeError
        onnxruntime cannot be imported, must not be used, or does not run the graph.
    """
    check_installed(OLDEST_ONNXRUNTIME)
    check_imported(OLDEST_ONNXRUNTIME)
    import numpy as np

    from edge_runtime.engine.session import Session

    [result] = Session(_DOUBLE).run(["y"], {"x": np.array([1.5, -2.0])})
    if result.tolist() != [3.0, -4.0]:
        raise UnsupportedRuntimeError(
            f"onnxruntime computes 2 x [1.5, -2] = {result.tolist()!s:.60}; "
            "pip install --force-reinstall onnxruntime"
        )
    return imported_version()


def several_installed() -> str | None:
    """Return a message if several distributions of onnxruntime are installed, else None."""
    distributions = installed_distributions()
    if len(distributions) < 2:
        return None
    listed = ", ".join(f"{name} {version}" for name, version in distributions)
    names = " ".join(name for name, _ in distributions)
    return (
        f"{listed} are installed over each other; pip uninstall {names}, "
        "then pip install onnxruntime"
    )


def _check_version(version: str, required: str) -> None:
    try:
        check_version(version, platform.machine(), required)
    except UnsupportedRuntimeError as error:
        message = several_installed()
        if message is None:
            raise
        raise UnsupportedRuntimeError(f"{error}; {message}") from error


def _import_error(error: Exception) -> EdgeRuntimeError:
    from edge_runtime_startup import explain_import_error, is_memory_error, memory_remedy

    if is_memory_error(error):
        return NotEnoughMemoryError(f"not enough memory to import onnxruntime; {memory_remedy()}")
    message = f"onnxruntime cannot be imported: {explain_import_error(error)}"
    several = several_installed()
    return UnsupportedRuntimeError(f"{message}; {several}" if several else message)
