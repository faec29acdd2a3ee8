"""Record the digests of every graph that the tests and models/ produce, or compare with a record.

``python tools/digests.py --out FILE`` writes a JSON file; ``--against FILE`` lists what differs and
exits with 1.  A change that moves or renames code must leave every digest as it was.  Compare on
one machine alone: what an estimator learns depends on the processor and on BLAS.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# Sums of several threads are added in no fixed order.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def conformance_digests(name: str) -> dict[str, str]:
    """SHA-256 of the graph of one estimator on each variant of its data, or why there is none."""
    warnings.simplefilter("ignore")
    import edge_pipeline
    import numpy as np
    from conformance.cases import VARIANTS, NotFittableError, fitted

    digests = {}
    for variant in VARIANTS:
        # Estimators without a seed of their own draw from numpy's global generator.
        np.random.seed(0)
        try:
            case = fitted(name, variant)
            graph = edge_pipeline.convert(case.estimator, case.X).graph
            digests[f"{name} {variant}"] = hashlib.sha256(graph).hexdigest()
        except NotFittableError:
            digests[f"{name} {variant}"] = "scikit-learn refuses"
        except edge_pipeline.EdgePipelineError as error:
            digests[f"{name} {variant}"] = type(error).__name__
    return digests


def model_digests(recipe: Path) -> dict[str, str]:
    """SHA-256 of one sealed model of models/, and of the graph in it."""
    import edge_pipeline
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{recipe.parent.name}.onnx"
        edge_pipeline.build(recipe, path)
        raw = path.read_bytes()
    graph = onnx.load_from_string(raw).graph.SerializeToString(deterministic=True)
    return {
        f"models/{path.stem} file": hashlib.sha256(raw).hexdigest(),
        f"models/{path.stem} graph": hashlib.sha256(graph).hexdigest(),
    }


def all_digests(workers: int) -> dict[str, str]:
    """The digests of every model and of every conformance case."""
    from conformance.cases import names

    recipes = sorted((ROOT / "models").glob("*/recipe.toml"))
    digests: dict[str, str] = {}
    with ProcessPoolExecutor(workers) as pool:
        for part in pool.map(model_digests, recipes):
            digests |= part
        for part in pool.map(conformance_digests, names()):
            digests |= part
    return digests


def main() -> int:
    """Write the digests, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--against", type=Path, help="JSON file to compare with")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    digests = all_digests(options.workers)
    if options.out:
        options.out.write_text(json.dumps(digests, indent=0, sort_keys=True), encoding="utf-8")
    print(f"{len(digests)} digests")
    if not options.against:
        return 0
    before = json.loads(options.against.read_text(encoding="utf-8"))
    changed = sorted(key for key in before | digests if before.get(key) != digests.get(key))
    for key in changed:
        print(f"{key}: {before.get(key)} -> {digests.get(key)}")
    print(f"{len(changed)} of {len(before)} differ")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
