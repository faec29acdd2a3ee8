"""Search one target of the fuzzer in this process; ``tools/fuzz.py`` starts it.

The input that is being read, and the number of inputs so far, stand in a file that is mapped into
memory.  So the parent can name the input after a crash, or after the alarm that ends an input of
more than five seconds.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib.util
import json
import mmap
import os
import random
import re
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

MAX_INPUT_BYTES = 1 << 16
CURRENT_BYTES = 16 + MAX_INPUT_BYTES

MAX_SECONDS = 5
MAX_BYTES = 1 << 30

_NUMBERS = (b"0", b"-1", b"1e999", b"NaN", b"9" * 30, b"2147483648", b"-9223372036854775809")
_TOKENS = (
    *_NUMBERS, b"\0", b"\n", b"\r", b'"', b",", b";", b"\x1b[2J", b"\xc2\x9b", b"\xe2\x80\xae",
    b"\xff", b"\xed\xa0\x80", b"[]", b"{}", b"null", b"true", b'""', b"../", b"(", b")+", b"\\",
    b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 10**19, 0.5, 1e308, "", "\x1b[2J", "\u202e", "nan", "predict",
    [], {}, [[]], "a" * 300, "float64", "string",
)  # fmt: skip


class Recorder:
    """Reads inputs by a target, after it has written each into the mapped file."""

    def __init__(self, path: Path | None, outcome: Callable[[bytes], str]) -> None:
        self._outcome = outcome
        self._map: Any = bytearray(CURRENT_BYTES)
        if path is not None:
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), CURRENT_BYTES)
        self._n_runs = 0

    def __call__(self, raw: bytes) -> str:
        """Read one input; end the process if an error that is not ours comes out."""
        raw = bytes(raw[:MAX_INPUT_BYTES])
        self._n_runs += 1
        self._map[: 16 + len(raw)] = struct.pack("<QQ", self._n_runs, len(raw)) + raw
        signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
        try:
            return self._outcome(raw)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def read_current(path: Path) -> tuple[int, bytes]:
    """Read how many inputs a worker has read, and the last one."""
    raw = path.read_bytes()
    n_runs, length = struct.unpack_from("<QQ", raw)
    return n_runs, raw[16 : 16 + length]


def mutate(raw: bytes, numbers: random.Random, others: list[bytes]) -> bytes:
    """Change an input at a few places: as a JSON tree if it is one, else its bytes."""
    head, tree = raw[:1], _json_tree(raw)
    if tree is not None and numbers.random() < 0.6:
        _mutate_tree(tree, numbers)
        return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
    lines = raw[1:].split(b"\n")
    if len(lines) > 1 and numbers.random() < 0.2:
        lines.insert(numbers.randrange(len(lines)), numbers.choice(lines))
        return head + b"\n".join(lines)
    changed = bytearray(raw)
    for _ in range(1 + int(numbers.expovariate(0.5))):
        _mutate_bytes(changed, numbers, others)
    return bytes(changed[:MAX_INPUT_BYTES])


def _json_tree(raw: bytes) -> Any:
    if raw[:1] != b"{" or len(raw) > 20_000:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(raw)
    return None


def _mutate_tree(tree: Any, numbers: random.Random) -> None:
    for _ in range(numbers.randint(1, 3)):
        place = tree
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = numbers.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and numbers.random() < 0.8:
                place = place[key]
                continue
            if isinstance(place, list) and numbers.random() < 0.3:
                place.append(copy.deepcopy(place[key]))
            elif numbers.random() < 0.3:
                del place[key]
            elif isinstance(place[key], str) and numbers.random() < 0.4:
                at = numbers.randint(0, len(place[key]))
                token = numbers.choice(("\x1b[2J", "\u202e", "\x9b", "|", "<b>", "\ud800", "0"))
                place[key] = place[key][:at] + token + place[key][at:]
            else:
                # A copy: a later change of it must not change the list of values.
                place[key] = copy.deepcopy(numbers.choice(_VALUES))
            break


def _mutate_bytes(raw: bytearray, numbers: random.Random, others: list[bytes]) -> None:
    at = numbers.randint(0, len(raw))
    end = at + numbers.choice((1, 2, 4, 8, 40))
    match numbers.randrange(7):
        case 0 if at < len(raw):
            raw[at] ^= 1 << numbers.randrange(8)
        case 1 if at < len(raw):
            raw[at] = numbers.choice((0, 1, 0x7F, 0x80, 0xFF, numbers.randrange(256)))
        case 2:
            del raw[at:end]
        case 3:
            raw[at:at] = raw[at:end] * numbers.choice((1, 1, 2, 50))
        case 4:
            part = numbers.choice(others)
            start = numbers.randint(0, len(part))
            raw[at:end] = part[start : start + numbers.randint(1, 200)]
        case 5:
            digits = [match.span() for match in re.finditer(rb"-?[0-9]+", raw)]
            if digits:
                start, end = numbers.choice(digits)
                raw[start:end] = numbers.choice(_NUMBERS)
        case _:
            raw[at:at] = numbers.choice(_TOKENS)


def search_with_mutator(
    run: Recorder, corpus: Path, inputs: list[bytes], seconds: float, seed: int
) -> None:
    """Mutate inputs until the time is over; keep those that lead to outcomes not seen before."""
    numbers, end = random.Random(seed), time.monotonic() + seconds
    outcomes = {run(raw) for raw in inputs}
    while time.monotonic() < end:
        raw = mutate(numbers.choice(inputs), numbers, inputs)
        outcome = run(raw)
        if outcome not in outcomes and len(outcomes) < 2000:
            outcomes.add(outcome)
            inputs.append(raw)
            (corpus / hashlib.sha256(raw).hexdigest()[:12]).write_bytes(raw)


def search_with_atheris(
    run: Recorder, corpus: Path, inputs: list[bytes], seconds: float, seed: int
) -> None:
    """Let atheris search, half of the time with our own mutations."""
    import atheris

    for raw in inputs:
        (corpus / hashlib.sha256(raw).hexdigest()[:12]).write_bytes(raw)

    def mutate_either(raw: bytes, max_bytes: int, number: int) -> bytes:
        numbers = random.Random(number)
        if numbers.random() < 0.5:
            mutated: bytes = atheris.Mutate(raw, len(raw))
        else:
            mutated = mutate(raw, numbers, inputs)
        return mutated[:max_bytes]

    def run_target(raw: bytes) -> None:
        run(raw)

    options = [f"-max_total_time={max(1, int(seconds))}", f"-seed={seed}", "-rss_limit_mb=0"]
    options += [f"-max_len={MAX_INPUT_BYTES}", "-timeout=0", "-verbosity=0", "-len_control=0"]
    atheris.Setup([sys.argv[0], str(corpus), *options], run_target, custom_mutator=mutate_either)
    atheris.Fuzz()


def main(arguments: list[str]) -> None:
    """Search as ``tools/fuzz.py`` asks, or repeat one input."""
    sys.path.insert(0, str(ROOT / "tests"))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    action, name, *options = arguments
    if action == "repeat":
        run = Recorder(None, _target(name, instrument=False).outcome)
        print(run(Path(options[0]).read_bytes()))
        return
    folder, engine, seconds = Path(options[0]), options[1], float(options[2])
    started = time.monotonic()
    is_guided = engine == "atheris" or (engine == "auto" and _has_atheris())
    target = _target(name, instrument=is_guided)
    corpus = folder / "corpus" / name
    paths = [*corpus.iterdir(), *(ROOT / "tests/data/fuzz" / name).glob("*.bin")]
    inputs = target.seeds + [path.read_bytes() for path in sorted(paths)]
    # Not RLIMIT_AS: it counts memory that threads reserve and never touch.
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
    run = Recorder(folder / f"current-{name}", target.outcome)
    search = search_with_atheris if is_guided else search_with_mutator
    search(run, corpus, inputs, seconds - (time.monotonic() - started), int(options[3]))


def _has_atheris() -> bool:
    return importlib.util.find_spec("atheris") is not None


def _target(name: str, *, instrument: bool) -> Any:
    if instrument:
        import atheris

        with atheris.instrument_imports(include=["edge_runtime", "edge_pipeline.packaging"]):
            import fuzz_targets
    else:
        import fuzz_targets
    return fuzz_targets.TARGETS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
