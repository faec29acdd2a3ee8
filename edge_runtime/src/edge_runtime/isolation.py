"""Try a graph in a child process first, so that a harmful one crashes, hangs or swells there.

The parent writes the bytes to the child's stdin and reads the result from its stdout.  This
protects against a graph that makes onnxruntime crash, hang or take memory without end.  It is no
sandbox: code that a graph makes onnxruntime execute has all rights of this user in the child.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from edge_runtime import errors
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.errors import (
    EdgeRuntimeError,
    InferenceError,
    InputError,
    IsolationError,
    MethodNotAvailableError,
)

if TYPE_CHECKING:
    from edge_runtime.engine.selection import Engine
    from edge_runtime.model import Model

__all__ = ["MANY_ROWS", "IsolationLimits", "try_in_child"]

MANY_ROWS = 256
"""Rows that the child predicts at once."""

BASE_BYTES = 256 * 1024 * 1024
"""Python, numpy, onnxruntime and a small session take 106 MB of data (measured)."""

BYTES_PER_GRAPH_BYTE = 16
"""A forest takes 8 times its file (measured: 30 MB for 3.6 MB), and twice that while it loads."""


@dataclass(frozen=True, slots=True)
class IsolationLimits:
    """Limits of the child process that tries a file first.

    Attributes
    ----------
    memory_bytes
        Heap, stacks and private maps.  None: 256 MiB and 16 times the graph.
    cpu_seconds
        Processor time.
    wall_seconds
        Elapsed time.
    """

    memory_bytes: int | None = None
    cpu_seconds: int = 60
    wall_seconds: float = 120.0


def try_in_child(
    graph: bytes,
    manifest: Manifest,
    limits: IsolationLimits | None = None,
    engine: Engine = "auto",
) -> dict[str, Any]:
    """Load a graph in a child process, replay its golden rows, and predict rows of its schema.

    The schema's rows are typical and extreme ones, one by one and :data:`MANY_ROWS` at once, with
    every method.  A graph may still fail on other rows.

    Returns
    -------
    dict
        ``peak_bytes`` and ``cpu_seconds`` of the child, and ``rows``: how many rows were tried, by
        kind (``golden``, ``typical``, ``extreme``, ``at_once``), and how many were ``refused``,
        because input validation or onnxruntime raised an error for them.

    Raises
    ------
    IsolationError
        The child crashed or exceeded *limits*, or the graph fails on typical rows.
    EdgeRuntimeError
        The error that the child raised, and that this process would raise without it.
    """
    import subprocess  # takes 4 ms, so not at the top

    limits = limits or IsolationLimits()
    memory = limits.memory_bytes or BASE_BYTES + BYTES_PER_GRAPH_BYTE * len(graph)
    settings = {
        # Without "": the child must not import modules from the current folder.
        "path": [*filter(None, sys.path), os.path.dirname(os.path.dirname(__file__))],
        "limits": {**asdict(limits), "memory_bytes": memory},
        "engine": engine,
        "graph_bytes": len(graph),
    }
    if getattr(sys, "frozen", False) or not sys.executable or _IN_CHILD in os.environ:
        raise IsolationError(f"{_NO_PYTHON}; try the file by: edge-runtime check --isolate FILE")
    child = subprocess.Popen(
        # -P: the child must not import modules from the current folder.
        [sys.executable, "-P", "-c", _BOOT, json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Each thread of OpenBLAS would reserve 8 MB and more.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", _IN_CHILD: "1"},
    )
    with child:
        try:
            output, _ = child.communicate(graph + manifest.to_bytes(), timeout=limits.wall_seconds)
        except subprocess.TimeoutExpired as error:
            child.kill()
            _check_is_ready(error.output or b"", "was still running")
            raise IsolationError(
                f"{_TRIAL} took longer than {limits.wall_seconds:g} s; {_REMEDY}"
            ) from error
        except BaseException:
            child.kill()
            raise
    return _result(output, child.returncode, limits, memory)


def serve() -> None:
    """Run in the child: read settings from ``argv[1]`` and bytes from stdin, write the result."""
    import resource

    os.write(1, _READY)
    settings = json.loads(sys.argv[1])
    limits = settings["limits"]
    for resource_kind, maximum in (
        # Not RLIMIT_AS: it counts memory that threads reserve and never touch.
        (resource.RLIMIT_DATA, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(
            resource_kind, _lowered_limit(maximum, resource.getrlimit(resource_kind)[1])
        )
    _prefer_oom_kill()
    result: dict[str, Any]
    try:
        rows = _try_model(settings["graph_bytes"], settings["engine"])
    except MemoryError:  # also as NotEnoughMemoryError
        result = {"error": "MemoryError"}
    except EdgeRuntimeError as error:
        result = {"error": type(error).__name__, "message": str(error)}
    else:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        peak = _peak_kilobytes() or usage.ru_maxrss
        seconds = usage.ru_utime + usage.ru_stime
        result = {"peak_bytes": peak * 1024, "cpu_seconds": seconds, "rows": rows}
    os.write(1, json.dumps(result).encode())
    # Skip the destructors: the graph may have damaged the heap.
    os._exit(0)


def _lowered_limit(maximum: int, hard: int) -> tuple[int, int]:
    """Return *maximum*, or the present hard limit if that is lower: only root may raise it."""
    # -1 is RLIM_INFINITY.
    lower = maximum if hard < 0 else min(maximum, hard)
    return lower, lower


def _try_model(graph_bytes: int, engine: Engine) -> dict[str, int]:
    """Load the model, replay its golden rows, and predict rows of its schema; count the rows."""
    from edge_runtime.model import Model
    from edge_runtime.schema_rows import extreme_rows, typical_rows

    graph = sys.stdin.buffer.read(graph_bytes)
    model = Model.from_parts(graph, Manifest.from_bytes(sys.stdin.buffer.read()), engine=engine)
    typical, extreme = typical_rows(model.schema), extreme_rows(model.schema)
    n_refused = 0
    for row in typical:
        n_refused += not _predicts(model, row, [row], raises=True)
    many = list(islice(cycle(typical), MANY_ROWS))
    n_refused += not _predicts(model, typical[0], many, raises=True)
    for row in extreme:
        n_refused += not _predicts(model, row, [row], raises=False)
    _predicts(model, extreme[0], list(islice(cycle(extreme), MANY_ROWS)), raises=False)
    return {
        "golden": len(model.manifest.golden.rows),
        "typical": len(typical),
        "extreme": len(extreme),
        "at_once": MANY_ROWS,
        "refused": n_refused,
    }


def _predicts(model: Model, row: Any, table: list[Any], *, raises: bool) -> bool:
    """Whether the model predicts *row*, and *table* by every method.

    Raises
    ------
    IsolationError
        With *raises*, when onnxruntime fails on rows that input validation accepts.
    """
    calls = [partial(getattr(model, method), table) for method in model.methods]
    calls += [partial(model.predict_one, row), partial(model.predict_proba_one, row)]
    try:
        for call in calls:
            with suppress(MethodNotAvailableError):
                call()
    except InputError:
        return False
    except InferenceError as error:
        if raises:
            raise IsolationError(
                f"the file fails on rows within the ranges of its own schema: {error}; {_REMEDY}"
            ) from error
        return False
    return True


def _peak_kilobytes() -> int | None:
    # ru_maxrss also counts the parent's memory, which this process shared before exec().
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            match = re.search(r"^VmHWM:\s+([0-9]+) kB$", file.read(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) if match else None


def _prefer_oom_kill() -> None:
    """Make Linux kill this process first when the machine itself runs out of memory."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:  # no /proc: the limits above still hold
        return


_TRIAL = "the child process that tried the file"
_REMEDY = "do not use this file here"
_READY = b"ready\n"
_IN_CHILD = "EDGE_RUNTIME_CHILD"
"""Set in the child's environment: a program that starts itself must not do so without end."""
_NO_PYTHON = (
    "isolate=True starts sys.executable as Python, and in this program (frozen, or embedding "
    "Python, as uWSGI does) that is no Python"
)
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path']; "
    "from edge_runtime.isolation import serve; serve()"
)
_OUT_OF_MEMORY = re.compile("alloc|out of memory", re.IGNORECASE)


def _check_is_ready(output: bytes, end: str) -> None:
    """Refuse a child that never came to read the file, which is not to blame."""
    if not output.startswith(_READY):
        raise IsolationError(
            f"{_NO_PYTHON}, or it cannot import edge_runtime: {sys.executable} {end} before it "
            "read the file; try the file by: edge-runtime check --isolate FILE"
        )


def _result(output: bytes, code: int, limits: IsolationLimits, memory: int) -> dict[str, Any]:
    """Read the child's output, or raise the error that it describes."""
    _check_is_ready(output, f"ended with code {code}")
    try:
        result: dict[str, Any] = json.loads(output.removeprefix(_READY))
    except ValueError as error:
        if code == -signal.SIGXCPU or code == -signal.SIGKILL:
            event = f"took more than {limits.cpu_seconds} s of processor time, or was killed"
        elif code < 0:
            event = f"crashed: {signal.strsignal(-code)}"
        else:
            event = f"ended with code {code} and no result"
        raise IsolationError(f"{_TRIAL} {event}; {_REMEDY}") from error
    error_class = result.get("error")
    if error_class is None:
        return result
    message = str(result.get("message", ""))
    # onnxruntime raises different classes when memory runs out; only the message says so.
    if error_class == "MemoryError" or _OUT_OF_MEMORY.search(message):
        raise IsolationError(f"{_TRIAL} took more than {memory:,} bytes of memory; {_REMEDY}")
    raise getattr(errors, error_class, IsolationError)(message)
