"""Parse the output of a board, which may be anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["MAX_BYTES", "parse_bench", "parse_facts", "printable_text", "values_of"]

MAX_BYTES = 1 << 20
"""Most bytes read of one output stream; a board prints some kilobytes."""

MARKER = "edge-facts"
"""Line that board.sh prints before its facts."""

# A terminal obeys C0 and C1 control characters except the line feed, and marks of direction.
_COMMANDS = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def printable_text(output: bytes) -> str:
    """Decode *output*, with ``?`` instead of control characters."""
    return _COMMANDS.sub("?", output.decode("utf-8", errors="replace").replace("\r\n", "\n"))


def parse_facts(output: str) -> dict[str, str]:
    """Parse the lines ``name=value``; the last line of a name counts."""
    return dict(line.partition("=")[::2] for line in _fact_lines(output) if "=" in line)


def values_of(output: str, name: str) -> Set[str]:
    """Return the values of all lines ``name=value`` of this name."""
    start = f"{name}="
    return {line.removeprefix(start) for line in _fact_lines(output) if line.startswith(start)}


def _fact_lines(output: str) -> list[str]:
    """Return the lines after the marker: the shell's start files may print text before it."""
    lines = output.splitlines()
    first = lines.index(MARKER) + 1 if MARKER in lines else 0
    return lines[first:]


class _Timing(BaseModel):
    call: str
    latency_us: dict[str, float]


class _Limit(BaseModel):
    kept: bool | None


class _Bench(BaseModel):
    """The fields of ``edge-runtime bench --json`` that are printed; others are passed on."""

    model_config = ConfigDict(extra="allow")

    load_ms: float | None = None
    peak_memory_mb: float | None = None
    timings: list[_Timing] = []
    limits: dict[str, _Limit] = {}


def parse_bench(facts: Mapping[str, str]) -> Mapping[str, Any]:
    """Parse the fact ``bench``; return an empty dict if it is not such a measurement."""
    try:
        return _Bench.model_validate_json(facts.get("bench", "{}")).model_dump()
    except ValidationError:
        return {}
