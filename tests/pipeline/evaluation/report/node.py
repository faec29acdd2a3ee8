"""Run the scripts of a report in node: predictions, flags and refusals of rows."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from edge_pipeline.evaluation.report.browser_model import browser_model
from edge_pipeline.evaluation.report.page_script import MODEL_SCRIPTS
from edge_runtime.bundle.layout import unpack
from edge_runtime.bundle.schema import Schema

SCRIPTS = files("edge_pipeline.evaluation.report").joinpath("scripts")

PREDICT = """
(model, cells) => {
  const {columns} = model;
  const predict = edgeRows.read(model);
  const rows = cells.map(row => columns.map((c, i) => edgeRows.fromJson(c, row[i])));
  const spell = v => Array.isArray(v) ? v.map(spell)
    : typeof v === "number" && !Number.isFinite(v) ? String(v) : v;
  const each = compute => rows.map(row => row.map((cell, i) => compute(columns[i], cell)));
  return JSON.stringify({
    proof: edgeRows.prove(model, predict),
    flags: each((c, cell) => edgeRows.flag(c, cell)),
    refusals: each((c, cell) => edgeRows.refusal(c, cell)),
    outputs: Object.fromEntries(Object.entries(predict(rows)).map(([k, v]) => [k, spell(v)])),
  });
}
"""
"""A JavaScript function: the predictions, flags and refusals of rows, as JSON."""

RUN = f"""
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(({PREDICT})(input.model, input.rows));
"""


def node_command() -> str | None:
    return shutil.which("node") or shutil.which("nodejs")


def run_script(source: str, text: str = "") -> str:
    """Run the scripts of the model and *source*, with *text* on standard input."""
    script = "\n".join(SCRIPTS.joinpath(name).read_text("utf-8") for name in MODEL_SCRIPTS)
    result = subprocess.run(
        [str(node_command()), "-e", f"{script}\n{source}"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_rows(path: Path, rows: list[list[Any]]) -> Any:
    """Predict *rows* with the file at *path* in node."""
    model = json.loads(browser_model(unpack(path.read_bytes()), path, show_rows=True))
    return json.loads(run_script(RUN, json.dumps({"model": model, "rows": rows})))


def random_rows(schema: Schema, count: int, seed: int) -> list[list[Any]]:
    """Make rows within and beyond the training data, with missing values where they may be."""
    random = np.random.default_rng(seed)
    return [[_random_cell(column, random) for column in schema.columns] for _ in range(count)]


def _random_cell(column: Any, random: np.random.Generator) -> Any:
    if column.missing and random.random() < 0.08:
        return None
    if column.is_string:
        categories = list(column.categories or ("a", "b"))
        unseen = [] if column.closed or random.random() < 0.9 else ["unseen", "", "é<b>"]
        return random.choice(unseen or categories).item()
    if column.type == "bool":
        return float(random.integers(2))
    low, high = column.minimum or 0.0, column.maximum or 0.0
    if random.random() < 0.05 and not column.closed:
        return random.choice([0.0, -0.0, 1e-300, 1e6, -1e6, low, high]).item()
    span = 0.0 if column.closed else 0.3 * (high - low)
    number = random.uniform(low - span, high + span)
    return float(round(number)) if column.type == "int64" else float(number)
