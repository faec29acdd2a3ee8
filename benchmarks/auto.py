"""Compare `estimator = "auto"` with hand-tuned estimators, on scikit-learn's own data sets.

python benchmarks/auto.py --out benchmarks/results/auto.json     # half an hour on two free cores
python benchmarks/auto.py --only iris wine                       # some of them, JSON on stdout
python benchmarks/auto.py --show benchmarks/results/auto.json    # the table of docs/auto.md

The rows are split in halves.  On each half, auto searches as `edge-pipeline build` does, and a grid
search with 3 folds tunes each family.  The result is the mean score on the other half.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import edge_pipeline
import measuring
import numpy as np
from sklearn import datasets
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

HALVES = 2
"""Each half of a data set is the training set once, and the test set once."""

DATA_SETS = ("iris", "wine", "breast_cancer", "diabetes", "digits")

RECIPE = 'name = "auto"\ntask = "{task}"\nestimator = "auto"\n[data]\ndataset = "{name}"\n'
# A search must not end early because a shared machine is slow.
RECIPE += "[search]\nmeasured = 0\nmax_seconds = 36000\n"


def by_hand(task: str, rows: int) -> dict[str, GridSearchCV]:
    """Define a grid search for each family, with a wider grid than auto."""
    is_classification = task == "classification"
    scaled = [("scale", StandardScaler())]
    linear: Any = LogisticRegression(max_iter=5000) if is_classification else Ridge()
    weights = {"m__C" if is_classification else "m__alpha": list(np.logspace(-3, 3, 9))}
    usual = RandomForestClassifier if is_classification else RandomForestRegressor
    extra = ExtraTreesClassifier if is_classification else ExtraTreesRegressor
    forest = {
        "m": [usual(n_estimators=200, random_state=1), extra(n_estimators=200, random_state=1)],
        "m__max_features": ["sqrt", 0.5],
    }
    boosted = (
        HistGradientBoostingClassifier if is_classification else HistGradientBoostingRegressor
    )(random_state=1, min_samples_leaf=5 if rows < 500 else 20)
    steps = {
        "m__max_iter": [100] if rows > 500 else [50, 150],
        "m__max_leaf_nodes": [4, 15],
    }
    mlp = MLPClassifier if is_classification else MLPRegressor
    prefix = "m__" if is_classification else "m__regressor__"
    network: Any = mlp(learning_rate_init=0.003, max_iter=300, random_state=1)
    layers = {
        f"{prefix}hidden_layer_sizes": [(32,), (100,)],
        f"{prefix}alpha": [1e-4, 1e-2, 1.0],
    }
    if not is_classification:
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    folds = (StratifiedKFold if is_classification else KFold)(3, shuffle=True, random_state=1)
    return {
        "linear": GridSearchCV(Pipeline([*scaled, ("m", linear)]), weights, cv=folds),
        "forest": GridSearchCV(Pipeline([("m", usual())]), forest, cv=folds),
        "boosting": GridSearchCV(Pipeline([("m", boosted)]), steps, cv=folds),
        "network": GridSearchCV(Pipeline([*scaled, ("m", network)]), layers, cv=folds),
    }


def one_half(name: str, number: int) -> dict[str, Any]:
    """Train on one half of the rows, and score on the other half."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=True)
    task, y = task_of(name), y.to_numpy()
    kind = StratifiedKFold if task == "classification" else KFold
    train, test = list(kind(HALVES, shuffle=True, random_state=0).split(X, y))[number]
    split = X.iloc[train], X.iloc[test], y[train], y[test]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "recipe.toml").write_text(RECIPE.format(task=task, name=name))
        recipe = edge_pipeline.read_recipe(folder)
    dataset = edge_pipeline.Dataset(*split, numbers=tuple(X.columns))
    wall_start, processor_start = time.perf_counter(), time.process_time()
    fitted = edge_pipeline.train(recipe, dataset)
    seconds, processor = time.perf_counter() - wall_start, time.process_time() - processor_start
    if fitted.search is None:
        raise RuntimeError("auto did not search")
    scores = {"auto": float(fitted.estimator.score(split[1], split[3]))}
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        for family, search in by_hand(task, len(train)).items():
            scores[family] = float(search.fit(split[0], split[2]).score(split[1], split[3]))
    print(name, {key: round(value, 4) for key, value in scores.items()}, file=sys.stderr)
    return {
        "scores": scores,
        "chosen": fitted.search.chosen.family,
        "search_seconds": round(seconds, 1),
        "search_processor_seconds": round(processor, 1),
    }


def task_of(name: str) -> str:
    return "regression" if name == "diabetes" else "classification"


def measure(name: str, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """Compute the scores on both halves, and the search time of auto."""
    halves = list(pool.map(one_half, [name] * HALVES, range(HALVES)))
    scores = {key: [half["scores"][key] for half in halves] for key in halves[0]["scores"]}
    means = {key: float(np.mean(values)) for key, values in scores.items()}
    best = max((key for key in means if key != "auto"), key=means.__getitem__)
    rows = getattr(datasets, f"load_{name}")(return_X_y=True)[0].shape[0]
    return {
        "rows": rows,
        "scorer": "accuracy" if task_of(name) == "classification" else "r2",
        "scores": scores,
        "best_by_hand": best,
        "auto_to_best": round(means["auto"] / means[best], 4),
        **{key: [half[key] for half in halves] for key in halves[0] if key != "scores"},
    }


def show(run: dict[str, Any]) -> str:
    """Write the figures as a Markdown table."""
    lines = [("data set", "scorer", "auto", "best by hand", "auto / best", "processor s a search")]
    for name, figures in run["figures"].items():
        means = {key: float(np.mean(values)) for key, values in figures["scores"].items()}
        best = figures["best_by_hand"]
        lines.append(
            (
                f"{name} ({figures['rows']} rows)",
                figures["scorer"],
                f"{means['auto']:.4f}",
                f"{means[best]:.4f} ({best})",
                f"{figures['auto_to_best']:.3f}",
                f"{np.median(figures['search_processor_seconds']):.0f}",
            )
        )
    machine = run["machine"]
    version_list = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    note = (
        f"{machine['processor']}, {machine['cores']} cores shared with other work (load average "
        f"{machine['load_average']}), {machine['system']}; "
        f"Python {machine['python']}, {version_list}."
    )
    return f"{measuring.table(lines)}\n\n{note}"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--show", metavar="JSON", type=Path, help="print a file's table")
    parser.add_argument("--only", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--out", metavar="JSON", type=Path, help="write here, not to stdout")
    options = parser.parse_args()
    if options.show:
        print(show(json.loads(options.show.read_text(encoding="utf-8"))))
        return
    figures = {}
    for name in options.only:
        with ProcessPoolExecutor(HALVES) as pool:
            figures[name] = measure(name, pool)
        run = {
            "machine": measuring.machine(),
            "versions": measuring.versions(*PACKAGES),
            "figures": figures,
        }
        if options.out:  # after each data set: the next may take long
            options.out.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    if not options.out:
        print(json.dumps(run, indent=1))


if __name__ == "__main__":
    main()
