"""What a board printed in, facts out; whoever answers there may print anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["MAX_BYTES", "bench_of", "every", "facts_of", "readable"]

MAX_BYTES = 1 << 20
"""Of one stream of one connection; a board says some kilobytes."""

# All of C0 and C1 but the ends of lines: what a terminal obeys instead of showing it.
_COMMANDS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def readable(told: bytes) -> str:
    """*told* as text without what a terminal would obey."""
    return _COMMANDS.sub("?", told.decode("utf-8", errors="replace").replace("\r\n", "\n"))


def facts_of(told: str) -> dict[str, str]:
    """The lines ``name=value``; the last of a name counts."""
    return dict(line.partition("=")[::2] for line in told.splitlines() if "=" in line)


def every(told: str, name: str) -> Set[str]:
    """Every value that was told by this name."""
    start = f"{name}="
    return {line.removeprefix(start) for line in told.splitlines() if line.startswith(start)}


class _Timing(BaseModel):
    call: str
    latency_us: dict[str, float]


class _Limit(BaseModel):
    kept: bool | None


class _Bench(BaseModel):
    """What of ``edge-runtime bench --json`` is shown; the rest is passed on."""

    model_config = ConfigDict(extra="allow")

    load_ms: float | None = None
    peak_memory_mb: float | None = None
    timings: list[_Timing] = []
    limits: dict[str, _Limit] = {}


def bench_of(facts: Mapping[str, str]) -> Mapping[str, Any]:
    """What the bench measured; empty where it failed and said so in words."""
    try:
        found: Mapping[str, Any] = _Bench.model_validate_json(facts.get("bench", "{}")).model_dump()
    except ValidationError:
        return {}
    return found
