"""First contact with a graph in a process of its own, which may crash, hang or swell instead of us.

The parent hands over the bytes, waits, and learns how it went.  What it holds against: a graph
that makes onnxruntime crash, hang or take memory without end.  It is no sandbox for code: whoever
finds a way to run some in onnxruntime has the rights of this user there.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from dataclasses import asdict, dataclass
from typing import Any

from edge_runtime import errors
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.errors import EdgeRuntimeError, IsolationError

__all__ = ["IsolationLimits", "first_contact"]

BASE_BYTES = 256 * 1024 * 1024
"""Python, numpy, onnxruntime and a small session take 106 MB of data (measured)."""

BYTES_PER_GRAPH_BYTE = 16
"""A forest takes 8 times its file (measured: 3.6 MB, 30 MB), doubled for the time it is loaded."""


@dataclass(frozen=True, slots=True)
class IsolationLimits:
    """What the first contact may take.

    Attributes
    ----------
    memory_bytes
        Of data: heap, stacks, private maps.  None: 256 MiB and 16 times the graph.
    cpu_seconds
        Processor time.
    wall_seconds
        Time on the clock.
    """

    memory_bytes: int | None = None
    cpu_seconds: int = 60
    wall_seconds: float = 120.0


def first_contact(
    graph: bytes, manifest: Manifest, limits: IsolationLimits | None = None
) -> dict[str, Any]:
    """Load a graph and ask its golden rows, in a child process.

    Returns
    -------
    dict
        ``peak_bytes`` and ``cpu_seconds`` that the child took.

    Raises
    ------
    IsolationError
        The child crashed, or took more than *limits* allow.
    EdgeRuntimeError
        What the child raised: the same error as without the child.
    """
    import subprocess  # 4 ms, which only this function is worth

    limits = limits or IsolationLimits()
    memory = limits.memory_bytes or BASE_BYTES + BYTES_PER_GRAPH_BYTE * len(graph)
    settings = {
        # Without "": whatever lies in the current folder must not be imported.
        "path": [*filter(None, sys.path), os.path.dirname(os.path.dirname(__file__))],
        "limits": {**asdict(limits), "memory_bytes": memory},
        "graph_bytes": len(graph),
    }
    if not sys.executable:
        raise IsolationError("this program does not know its Python, so it can start no other one")
    child = subprocess.Popen(
        # -P: the current folder must not lend its modules.
        [sys.executable, "-P", "-c", _BOOT, json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Each thread of numpy's library would set 8 MB and more aside.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    with child:
        try:
            told, _ = child.communicate(graph + manifest.to_bytes(), timeout=limits.wall_seconds)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise IsolationError(
                f"the first contact took longer than {limits.wall_seconds:g} s; {_REMEDY}"
            ) from error
        except BaseException:
            child.kill()
            raise
    return _outcome(told, child.returncode, limits, memory)


def serve() -> None:
    """The child's side: settings in the first argument, bytes on stdin, outcome on stdout."""
    import resource

    settings = json.loads(sys.argv[1])
    limits = settings["limits"]
    for kind, most in (
        # Not RLIMIT_AS, which counts what threads reserve and never touch.
        (resource.RLIMIT_DATA, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(kind, _lowered(most, resource.getrlimit(kind)[1]))
    _be_the_first_to_go()
    outcome: dict[str, Any]
    try:
        _try_out(settings["graph_bytes"])
    except MemoryError:  # also as NotEnoughMemoryError
        outcome = {"error": "MemoryError"}
    except EdgeRuntimeError as error:
        outcome = {"error": type(error).__name__, "message": str(error)}
    else:
        used = resource.getrusage(resource.RUSAGE_SELF)
        peak = _peak_kilobytes() or used.ru_maxrss
        outcome = {"peak_bytes": peak * 1024, "cpu_seconds": used.ru_utime + used.ru_stime}
    os.write(1, json.dumps(outcome).encode())
    # Not through the destructors of a graph that may have damaged the heap.
    os._exit(0)


def _lowered(most: int, hard: int) -> tuple[int, int]:
    """A limit of *most*, or of what the caller's own hard limit leaves: raising that needs root."""
    # -1 is RLIM_INFINITY.
    lower = most if hard < 0 else min(most, hard)
    return lower, lower


def _try_out(graph_bytes: int) -> None:
    from edge_runtime.model import Model

    graph = sys.stdin.buffer.read(graph_bytes)
    Model.from_parts(graph, Manifest.from_bytes(sys.stdin.buffer.read())).close()


def _peak_kilobytes() -> int | None:
    # ru_maxrss remembers the parent, whose memory this process had before it became Python.
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            found = re.search(r"^VmHWM:\s+([0-9]+) kB$", file.read(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


def _be_the_first_to_go() -> None:
    """When the machine itself runs out of memory, Linux shall end this process, not another."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:  # no /proc: the limits above still hold
        return


_REMEDY = "do not use this file here"
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path']; "
    "from edge_runtime.isolation import serve; serve()"
)
_OUT_OF_MEMORY = re.compile("alloc|out of memory", re.IGNORECASE)


def _outcome(told: bytes, code: int, limits: IsolationLimits, memory: int) -> dict[str, Any]:
    too_much = f"the first contact took more than {memory:,} bytes of memory; {_REMEDY}"
    try:
        outcome: dict[str, Any] = json.loads(told)
    except ValueError as error:
        if code == -signal.SIGXCPU or code == -signal.SIGKILL:
            how = f"took more than {limits.cpu_seconds} s of processor time, or was killed"
        elif code < 0:
            how = f"crashed: {signal.strsignal(-code)}"
        else:
            how = f"ended with code {code} and said nothing"
        raise IsolationError(f"the first contact {how}; {_REMEDY}") from error
    kind = outcome.get("error")
    if kind is None:
        return outcome
    message = str(outcome.get("message", ""))
    # onnxruntime tells that memory ran out by whichever class is at hand.
    if kind == "MemoryError" or _OUT_OF_MEMORY.search(message):
        raise IsolationError(too_much)
    raise getattr(errors, kind, IsolationError)(message)
