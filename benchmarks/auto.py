"""`estimator = "auto"` beside each of its families tuned by hand, on scikit-learn's own data sets.

python benchmarks/auto.py --out benchmarks/results/auto.json     # half an hour on two free cores
python benchmarks/auto.py --only iris wine                       # some of them, JSON on stdout
python benchmarks/auto.py --show benchmarks/results/auto.json    # the table of docs/auto.md

Rows are halved.  On either half auto searches as `edge-pipeline build` does, and each family is
tuned by a grid of its own, with 3 folds.  Compared is the mean score on the other half, which
neither saw.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import edge_pipeline
import measuring
import numpy as np
from sklearn import datasets
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

PACKAGES = ("edge-pipeline", "scikit-learn", "numpy", "scipy")

OUTER = 2
"""Outer folds: each data set is halved, and both halves are trained on and tested on."""

DATA_SETS = ("iris", "wine", "breast_cancer", "diabetes", "digits")

RECIPE = 'name = "auto"\ntask = "{task}"\nestimator = "auto"\n[data]\ndataset = "{name}"\n'
RECIPE += "[search]\nmeasured = 0\n"


def by_hand(task: str, rows: int) -> dict[str, GridSearchCV]:
    """Each family, with a grid wider than that of auto."""
    sorts = task == "classification"
    scaled = [("scale", StandardScaler())]
    linear: Any = LogisticRegression(max_iter=5000) if sorts else Ridge()
    weights = {"m__C" if sorts else "m__alpha": list(np.logspace(-3, 3, 9))}
    usual = RandomForestClassifier if sorts else RandomForestRegressor
    extra = ExtraTreesClassifier if sorts else ExtraTreesRegressor
    forest = {
        "m": [usual(n_estimators=200, random_state=1), extra(n_estimators=200, random_state=1)],
        "m__max_features": ["sqrt", 0.5],
    }
    boosted = (HistGradientBoostingClassifier if sorts else HistGradientBoostingRegressor)(
        random_state=1, min_samples_leaf=5 if rows < 500 else 20
    )
    steps = {
        "m__max_iter": [100] if rows > 500 else [50, 150],
        "m__max_leaf_nodes": [4, 15],
    }
    mlp = MLPClassifier if sorts else MLPRegressor
    prefix = "m__" if sorts else "m__regressor__"
    network: Any = mlp(learning_rate_init=0.003, max_iter=300, random_state=1)
    layers = {
        f"{prefix}hidden_layer_sizes": [(32,), (100,)],
        f"{prefix}alpha": [1e-4, 1e-2, 1.0],
    }
    if not sorts:
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    folds = (StratifiedKFold if sorts else KFold)(3, shuffle=True, random_state=1)
    return {
        "linear": GridSearchCV(Pipeline([*scaled, ("m", linear)]), weights, cv=folds),
        "forest": GridSearchCV(Pipeline([("m", usual())]), forest, cv=folds),
        "boosting": GridSearchCV(Pipeline([("m", boosted)]), steps, cv=folds),
        "network": GridSearchCV(Pipeline([*scaled, ("m", network)]), layers, cv=folds),
    }


def measured(name: str) -> dict[str, Any]:
    """Scores on the outer test rows, and how long auto searched."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=True)
    task = "regression" if name == "diabetes" else "classification"
    y = y.to_numpy()
    outer = (StratifiedKFold if task == "classification" else KFold)(
        OUTER, shuffle=True, random_state=0
    )
    scores: dict[str, list[float]] = {}
    seconds, processor, chosen = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "recipe.toml").write_text(RECIPE.format(task=task, name=name))
        recipe = edge_pipeline.read_recipe(folder)
    for train, test in outer.split(X, y):
        parts = X.iloc[train], X.iloc[test], y[train], y[test]
        dataset = edge_pipeline.Dataset(*parts, numbers=tuple(X.columns))
        began, used = time.perf_counter(), time.process_time()
        fitted = edge_pipeline.train(recipe, dataset)
        seconds.append(round(time.perf_counter() - began, 1))
        processor.append(round(time.process_time() - used, 1))
        if fitted.search is None:
            raise RuntimeError("auto did not search")
        chosen.append(fitted.search.chosen.family)
        scores.setdefault("auto", []).append(fitted.estimator.score(parts[1], parts[3]))
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            for family, search in by_hand(task, len(train)).items():
                best = clone(search).fit(parts[0], parts[2])
                scores.setdefault(family, []).append(best.score(parts[1], parts[3]))
        print(name, {key: round(values[-1], 4) for key, values in scores.items()}, file=sys.stderr)
    means = {key: float(np.mean(values)) for key, values in scores.items()}
    best = max((key for key in means if key != "auto"), key=means.__getitem__)
    return {
        "rows": len(X),
        "columns": X.shape[1],
        "scorer": "accuracy" if task == "classification" else "r2",
        "outer_folds": OUTER,
        "scores": scores,
        "best_by_hand": best,
        "auto_to_best": round(means["auto"] / means[best], 4),
        "chosen": chosen,
        "search_seconds": seconds,
        "search_processor_seconds": processor,
    }


def show(run: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [("data set", "scorer", "auto", "best by hand", "auto / best", "processor s a search")]
    for name, found in run["figures"].items():
        means = {key: float(np.mean(values)) for key, values in found["scores"].items()}
        best = found["best_by_hand"]
        lines.append(
            (
                f"{name} ({found['rows']} rows)",
                found["scorer"],
                f"{means['auto']:.4f}",
                f"{means[best]:.4f} ({best})",
                f"{found['auto_to_best']:.3f}",
                f"{np.median(found['search_processor_seconds']):.0f}",
            )
        )
    where = run["machine"]
    named = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    note = (
        f"{where['processor']}, {where['cores']} cores shared with other work (load average "
        f"{where['load_average']}), {where['system']}; Python {where['python']}, {named}."
    )
    return f"{measuring.table(lines)}\n\n{note}"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--show", metavar="JSON", type=Path, help="print a file's table")
    parser.add_argument("--only", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--out", metavar="JSON", type=Path, help="write here, not to stdout")
    chosen = parser.parse_args()
    if chosen.show:
        print(show(json.loads(chosen.show.read_text(encoding="utf-8"))))
        return
    figures = {}
    for name in chosen.only:
        figures[name] = measured(name)
        run = {
            "machine": measuring.machine(),
            "versions": measuring.versions(*PACKAGES),
            "figures": figures,
        }
        if chosen.out:  # after each: the next may take long
            chosen.out.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    if not chosen.out:
        print(json.dumps(run, indent=1))


if __name__ == "__main__":
    main()
