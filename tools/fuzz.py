"""Fuzz everything on the device that reads a stranger's bytes, and the kits on the build machine.

    python tools/fuzz.py --minutes 5 [TARGET ...]     search; without TARGET, all of them
    python tools/fuzz.py --repeat TARGET FILE         read one input again

The targets are in tests/fuzz_targets.py.  An input breaks its target if it raises another error
than ours, takes more than 5 s or a gigabyte, or ends the process.  It is written to .fuzz/findings,
with the command that repeats it.  Mend the code, and move the input into tests/data/fuzz, where
tests/fuzz replays it.

atheris guides the search by coverage where it is installed (pip install atheris).  Without it, a
mutator keeps inputs that lead to new errors.  The corpus in tests/data/fuzz is small; what a search
adds to it stays in .fuzz/corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fuzz_worker import CURRENT_BYTES, ROOT, read_current

MAX_FINDINGS = 5
"""A target is left after so many findings: most would be the same one."""

GRACE_SECONDS = 60
"""Time that a worker may take to start and to end, beside its search."""


def main() -> int:
    """Fuzz; return 1 when an input breaks its target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help="names of targets; all when there is none")
    parser.add_argument("--minutes", type=float, default=5.0, help="elapsed time of the search")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--engine", choices=("auto", "atheris", "mutator"), default="auto")
    parser.add_argument("--folder", type=Path, default=ROOT / ".fuzz", help="corpus and findings")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of random numbers")
    parser.add_argument("--repeat", nargs=2, metavar=("TARGET", "FILE"), help="read one input")
    arguments = parser.parse_args()
    if arguments.repeat:
        return _start(["repeat", *arguments.repeat]).wait()
    names = arguments.targets or target_names()
    seconds = arguments.minutes * 60 * min(arguments.jobs, len(names)) / len(names)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(lambda name: search(name, seconds, arguments), names))
    print(json.dumps({"seed": arguments.seed, "targets": results}, indent=1))
    return 1 if any(result["findings"] for result in results) else 0


def target_names() -> list[str]:
    """List the targets: the folders of the corpus in the repository."""
    return sorted(path.name for path in (ROOT / "tests/data/fuzz").iterdir() if path.is_dir())


def search(name: str, seconds: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Search one target in worker processes, which end at each finding."""
    folder: Path = arguments.folder
    (folder / "corpus" / name).mkdir(parents=True, exist_ok=True)
    current = folder / f"current-{name}"
    end, runs, findings, seed = time.monotonic() + seconds, 0, list[str](), arguments.seed
    while (left := end - time.monotonic()) > 0 and len(findings) < MAX_FINDINGS:
        current.write_bytes(bytes(CURRENT_BYTES))
        options = [name, str(folder), arguments.engine, str(left), str(seed)]
        with (folder / f"log-{name}").open("wb") as log:
            worker = _start(["search", *options], stdout=log, stderr=log)
            code = _wait(worker, left + GRACE_SECONDS)
        n_runs, raw = read_current(current)
        runs += n_runs
        seed += 1
        if code:
            findings.append(_report(name, raw, code, folder))
        elif not n_runs:
            raise SystemExit(f"the worker of {name} did not start: {folder / f'log-{name}'}")
        else:
            break
    current.unlink()
    print(f"{name}: {runs:,} runs, {len(set(findings))} findings", file=sys.stderr)
    return {"target": name, "runs": runs, "findings": sorted(set(findings))}


def _start(arguments: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "tools/fuzz_worker.py"), *arguments]
    return subprocess.Popen(command, env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"}, **streams)


def _wait(worker: subprocess.Popen[bytes], seconds: float) -> int:
    try:
        return worker.wait(seconds)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


def _report(name: str, raw: bytes, code: int, folder: Path) -> str:
    """Keep an input that ended its worker, and print how to repeat it."""
    path = folder / "findings" / name / f"{hashlib.sha256(raw).hexdigest()[:12]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    log = (folder / f"log-{name}").read_text(encoding="utf-8", errors="replace").splitlines()
    reason = log[-1] if log else ""
    if code < 0:
        reason = "took over 5 s" if code == -signal.SIGALRM else signal.strsignal(-code) or ""
    print(
        f"FOUND {name}: {reason:.200}\n"
        f"  repeat: {sys.executable} tools/fuzz.py --repeat {name} {path}",
        file=sys.stderr,
    )
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
