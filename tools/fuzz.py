"""Fuzz the readers of the device with atheris, guided by coverage.

    pip install atheris
    python tools/fuzz.py graph CORPUS-FOLDER -max_total_time=60

Targets: ``file`` (a whole file), ``graph`` (the scan of a graph), ``manifest`` (the text of a
manifest).  An input that raises anything but a BundleError is written to ``crash-*``.  Put it into
the target's folder in tests/data/fuzz, which tests/fuzz reads.  That folder also holds a minimal
corpus with the coverage of a million inputs; start from it:
``cp tests/data/fuzz/graph/* CORPUS-FOLDER``.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["edge_runtime"]):
    from edge_runtime.bundle.layout import unpack
    from edge_runtime.bundle.manifest import Manifest
    from edge_runtime.errors import BundleError
    from edge_runtime.graph_safety.rules import scan

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def targets() -> dict[str, tuple[Callable[[bytes], object], list[bytes]]]:
    """Return the targets: name to function and first inputs."""
    from device import models
    from device.hostile import TREE_OPSETS, body, described, loop, model, trees
    from device.tiny_onnx import tensor

    parts = [models.classifier(), models.mixed(), models.text()]
    manifest = described(TREE_OPSETS)
    looped = model([loop("n", body())], initializers=[tensor("n", 3)], opsets=TREE_OPSETS)
    tree = model([trees([1, 2, 0], [0, 0, 1])], opsets=TREE_OPSETS)
    return {
        "file": (unpack, [p.sealed() for p in parts]),
        "graph": (lambda raw: scan(raw, manifest), [looped, tree, *(p.graph for p in parts)]),
        "manifest": (Manifest.from_bytes, [p.manifest.to_bytes() for p in parts]),
    }


def main(arguments: list[str]) -> None:
    """Run one target until atheris ends."""
    name, corpus, *options = arguments
    call, seeds = targets()[name]
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds):
        (folder / f"seed-{index}").write_bytes(seed)

    def run_target(raw: bytes) -> None:
        with contextlib.suppress(BundleError):
            call(raw)

    atheris.Setup([sys.argv[0], corpus, *options], run_target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
