"""Write a commented recipe for a table, which builds without a change.

An existing recipe is never overwritten.  The rows of a frame go to a file beside the recipe.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from edge_runtime.bundle.reading import CellRule

from edge_pipeline.data.databases import recipe_url
from edge_pipeline.data.excluded_columns import IDENTIFIES
from edge_pipeline.data.profile import TableDescription, describe_source
from edge_pipeline.data.recipe import FILE_NAME, read_recipe
from edge_pipeline.data.replace_columns import replace_columns
from edge_pipeline.data.sources import TableSource, read_source
from edge_pipeline.errors import DatasetError, RecipeError
from edge_pipeline.short_repr import short_repr

__all__ = ["InitResult", "init"]

MODELS = Path("models")
"""Default parent of the model folders, below the current directory."""

TABLE_NAME = "table.csv"
"""File name for the rows of a frame."""

MAX_LABELS_LISTED = 6
"""Most labels listed in the comment beside the task."""


@short_repr
@dataclass(frozen=True)
class InitResult:
    """The recipe that was written, and the profile of its table.

    Attributes
    ----------
    recipe
        The path of the recipe.
    description
        The profile of the table.
    """

    recipe: Path
    description: TableDescription

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"recipe": str(self.recipe), **self.description.to_json()}


def init(
    table: Any,
    output: Path | str | None = None,
    *,
    target: str | Sequence[str] | None = None,
    task: str | None = None,
    name: str | None = None,
    sheet: str | None = None,
    query: str | None = None,
) -> InitResult:
    """Profile a table, and write a recipe for it.

    Parameters
    ----------
    table, target, task, sheet, query
        As :func:`~edge_pipeline.data.profile.describe_table`.
    output
        Folder of the model, created when missing; ``models/NAME`` when None.
    name
        The model's name; the table's name when None.

    Raises
    ------
    DatasetError
        The table cannot be read, or there is neither a target nor a task.
    RecipeError
        A recipe exists already.
    OSError
        A file cannot be read or written.
    """
    source = read_source(table, sheet=sheet, query=query)
    description = describe_source(source, target, task)
    name = _check_name(name or _default_name(source))
    folder = Path(output) if output is not None else MODELS / name
    recipe = folder / FILE_NAME
    is_frame = source.file is None and source.dataset is None and source.database is None
    for path in (recipe, folder / TABLE_NAME) if is_frame else (recipe,):
        if path.exists():
            raise RecipeError(
                f"{path.name} exists already, and is not written over; remove it, or name "
                "another folder",
                file=recipe,
            )
    folder.mkdir(parents=True, exist_ok=True)
    text = _recipe_text(source, description, name, _source_lines(source, folder))
    # "x" fails when another process created the file in the meantime.
    with recipe.open("x", encoding="utf-8") as file:
        file.write(text)
    read_recipe(recipe)
    return InitResult(recipe, description)


def _default_name(source: TableSource) -> str:
    if source.dataset is not None:
        return source.dataset
    address = source.database and source.database.partition("?")[0].rpartition("/")[2]
    stem = "model" if source.file is None else source.file.name
    stem = (address or stem).partition(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:100] or "model"


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise DatasetError(f"the name {name!r} has more than letters, digits, '.', '_' and '-'")
    return name


def _source_lines(source: TableSource, folder: Path) -> list[str]:
    """Return the lines of ``[data]`` that name the source of the rows."""
    if source.dataset is not None:
        return [f"dataset = {_toml_string(source.dataset)}"]
    if source.database is not None:
        url = recipe_url(source.database, folder)
        return [f"database = {_toml_string(url)}", f"query = {_toml_string(str(source.query))}"]
    if source.file is None:
        with (folder / TABLE_NAME).open("x", encoding="utf-8", newline="") as file:
            rows = source.frame if source.texts is None else source.texts
            _exact_floats(rows).to_csv(file, index=False)
        return [f"file = {_toml_string(TABLE_NAME)}"]
    try:
        # Resolved first: ".." after a symbolic link leads elsewhere.
        path = os.path.relpath(source.file.resolve(), folder.resolve())
    except ValueError:  # another drive
        path = str(source.file.resolve())
    sheet = None if source.layout is None else source.layout.sheet
    sheet_lines = [] if sheet is None else [f"sheet = {_toml_string(sheet)}"]
    return [f"file = {_toml_string(Path(path).as_posix())}", *sheet_lines]


def _exact_floats(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert floats to float64, whose text in a CSV file reads back to the same number."""
    floats = frame.select_dtypes("floating").columns
    return replace_columns(frame, {name: frame[name].astype("float64") for name in floats})


def _recipe_text(
    source: TableSource, description: TableDescription, name: str, source_lines: Sequence[str]
) -> str:
    lines = [
        f"# {_comment_text(Path(description.source).name)}: {description.rows} rows, "
        f"{len(description.columns)} columns.",
        "# Written by `edge-pipeline init`; it builds as it stands, and is yours to change.",
        "# docs/recipe.md of edge-pipeline explains every key.",
        f"name = {_toml_string(name)}",
        f"task = {_toml_string(description.task)}{_task_comment(description)}",
        "",
        "# A short search over linear models, forests, boosted trees and networks.",
        "# Instead: a table [estimator] with a class, or a factory, of your own.",
        'estimator = "auto"',
        "",
        "[data]",
        *source_lines,
        *_target_lines(source, description),
        *_exclude_lines(description),
        "",
        *_reading_lines(source),
        "[split]",
        "test_share = 0.25           # of the rows, which training does not see",
        "seed = 0                    # decides which rows, and everything drawn at random",
        *_split_lines(description),
        "",
        "[search]",
        *_scoring_lines(description),
        'prefer = "score"            # or "small", or "fast": within score_tolerance of the best',
        "# score_tolerance = 0.01",
        "# max_seconds = 300         # no further candidate is tried after that",
        "",
        "# [limits]                  # the build fails over one of these",
        "# max_model_bytes = 1_000_000",
        "# max_latency_us = 500",
        "# max_peak_memory_mb = 100",
    ]
    return "\n".join(lines) + "\n"


def _task_comment(description: TableDescription) -> str:
    if description.balance:
        counts = [f"{_comment_text(label)} {count}" for label, count in description.balance.items()]
        text = ", ".join(counts[:MAX_LABELS_LISTED])
        if len(counts) > MAX_LABELS_LISTED:
            text += f" and {len(counts) - MAX_LABELS_LISTED} more"
        return f"     # {len(counts)} labels: {text}"
    if description.task == "regression":
        columns = {column.name: column for column in description.columns}
        return f"     # {columns[description.targets[0]].distinct} different numbers"
    return ""


def _reading_lines(source: TableSource) -> list[str]:
    """Return the table ``[reading]``; nothing where its defaults are right."""
    layout = source.layout
    if layout is None:
        return []
    lines: list[str] = []
    if layout.separator not in (None, ","):
        lines.append(f"separator = {_toml_string(str(layout.separator))}")
    if layout.decimal not in (None, "."):
        lines.append(f"decimal = {_toml_string(str(layout.decimal))}")
    if layout.thousands is not None:
        lines.append(f"thousands = {_toml_string(layout.thousands)}")
    if layout.encoding != "utf-8":
        lines.append(f"encoding = {_toml_string(layout.encoding)}")
    if layout.row_index:
        lines.append("row_index = true            # the first column only numbers the rows")
    if layout.header is False:
        names = ", ".join(map(_toml_string, layout.names))
        lines.append("header = false              # the first line is a row; true if it is not")
        lines.append(f"names = [{names}]")
    if layout.missing:
        lines.append(f"missing = [{', '.join(map(_toml_string, layout.missing))}]")
    if layout.columns:
        lines += [
            "",
            "[reading.columns]           # marks that are removed; styles of dates",
        ]
        lines += [_rule_line(name, rule) for name, rule in layout.columns.items()]
    comment = "# How the cells of the file become values; the device reads its files alike."
    return [comment, "[reading]", *lines, ""] if lines else []


def _rule_line(name: str, rule: CellRule) -> str:
    marks = {"mark": rule.mark or None, "decimal": rule.decimal, "thousands": rule.thousands}
    keys = {**marks, "date": rule.date}
    items = [f"{key} = {_toml_string(text)}" for key, text in keys.items() if text is not None]
    return f"{_toml_string(name)} = {{ {', '.join(items)} }}"


def _target_lines(source: TableSource, description: TableDescription) -> list[str]:
    # A separate target is no column of the table, and a recipe cannot name it.
    if not description.targets or source.targets:
        return []
    if len(description.targets) == 1:
        return [f"target = {_toml_string(description.targets[0])}"]
    return [f"target = [{', '.join(map(_toml_string, description.targets))}]"]


def _exclude_lines(description: TableDescription) -> list[str]:
    excluded = [c for c in description.columns if c.left_out and c.name not in description.targets]
    if not excluded:
        return []
    names = [f"{_toml_string(column.name)}," for column in excluded]
    width = max(map(len, names))
    lines = [
        f"    {name:<{width}}   # {_comment_text(column.left_out)}"
        for name, column in zip(names, excluded, strict=True)
    ]
    return ["exclude = [", *lines, "]"]


def _split_lines(description: TableDescription) -> list[str]:
    dates = [column.name for column in description.columns if column.kind == "datetime"]
    groups = [c.name for c in description.columns if c.left_out.startswith(IDENTIFIES)]
    lines = []
    if dates:
        lines.append(f"# time = {_toml_string(dates[0])}    # to test on the latest rows")
    if description.groups:
        lines.append(f"groups = {_toml_string(description.groups)}    # its rows stay together")
    elif groups:
        lines.append(f"# groups = {_toml_string(groups[0])}    # to keep its rows together")
    return lines


def _scoring_lines(description: TableDescription) -> list[str]:
    if not description.is_unbalanced:
        return []
    return ['scoring = "balanced_accuracy"   # accuracy would not notice the rarest label']


def _toml_string(text: str) -> str:
    """Quote *text* for TOML: as JSON does, but DEL must be escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment_text(text: str) -> str:
    """Replace the characters that a comment of TOML may not hold, and shorten *text*."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:120]
