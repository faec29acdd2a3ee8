"""A table in, a commented recipe that builds as it stands out; never written over another.

A frame has no file that a recipe could name: its rows are written beside it.
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

from edge_pipeline.data.profile import TableDescription, describe_source
from edge_pipeline.data.recipe import FILE_NAME, read_recipe
from edge_pipeline.data.sources import Source, read_source
from edge_pipeline.errors import DatasetError, RecipeError

__all__ = ["InitResult", "init"]

MODELS = Path("models")
"""Where folders of models are made when nobody says otherwise, below the current directory."""

TABLE_NAME = "table.csv"
"""What the rows of a frame are called."""

MAX_LABELS_LISTED = 6
"""Labels named in the comment beside the task."""


@dataclass(frozen=True)
class InitResult:
    """A recipe that was written, and what was seen before.

    Attributes
    ----------
    recipe
        The file.
    description
        Of the table.
    """

    recipe: Path
    description: TableDescription

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"recipe": str(self.recipe), **self.description.to_json()}


def init(
    table: Any,
    output: Path | str | None = None,
    *,
    target: str | Sequence[str] | None = None,
    task: str | None = None,
    name: str | None = None,
) -> InitResult:
    """Look at a table, and write a recipe for it.

    Parameters
    ----------
    table, target, task
        As :func:`~edge_pipeline.data.profile.describe_table`.
    output
        Folder of the model; ``models/NAME`` when not given.  It is made.
    name
        The model's name; that of the table by default.

    Raises
    ------
    DatasetError
        The table cannot be read, or nothing says what is to be learnt.
    RecipeError
        There is a recipe already.
    OSError
        A file cannot be read or written.
    """
    source = read_source(table)
    description = describe_source(source, target, task)
    name = _check_name(name or _name(source))
    folder = Path(output) if output is not None else MODELS / name
    recipe = folder / FILE_NAME
    for path in (recipe, folder / TABLE_NAME) if source.file is None else (recipe,):
        if path.exists() and (path == recipe or source.dataset is None):
            raise RecipeError(
                f"{path.name} exists already, and is not written over; remove it, or name "
                "another folder",
                file=recipe,
            )
    folder.mkdir(parents=True, exist_ok=True)
    named = _named(source, folder)
    text = _recipe(source, description, name, named)
    # "x": whoever made the file in the meantime keeps it.
    with recipe.open("x", encoding="utf-8") as file:
        file.write(text)
    read_recipe(recipe)
    return InitResult(recipe, description)


def _name(source: Source) -> str:
    if source.dataset is not None:
        return source.dataset
    stem = "model" if source.file is None else source.file.name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:100] or "model"


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise DatasetError(f"the name {name!r} has more than letters, digits, '.', '_' and '-'")
    return name


def _named(source: Source, folder: Path) -> str:
    """The line of ``[data]`` that says where the rows come from."""
    if source.dataset is not None:
        return f"dataset = {_toml_string(source.dataset)}"
    if source.file is None:
        with (folder / TABLE_NAME).open("x", encoding="utf-8", newline="") as file:
            _as_csv(source.frame).to_csv(file, index=False)
        return f"file = {_toml_string(TABLE_NAME)}"
    try:
        # Resolved: ".." of a folder that is a link leads elsewhere.
        place = os.path.relpath(source.file.resolve(), folder.resolve())
    except ValueError:  # another drive
        place = str(source.file.resolve())
    return f"file = {_toml_string(Path(place).as_posix())}"


def _as_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """*frame* with every number as long as it must be to read back the same."""
    floats = frame.select_dtypes("floating").columns
    return frame.assign(**{name: frame[name].astype("float64") for name in floats})


def _recipe(source: Source, seen: TableDescription, name: str, named: str) -> str:
    lines = [
        f"# {_one_line(Path(seen.source).name)}: {seen.rows} rows, {len(seen.columns)} columns.",
        "# Written by `edge-pipeline init`; it builds as it stands, and is yours to change.",
        "# docs/recipe.md of edge-pipeline explains every key.",
        f"name = {_toml_string(name)}",
        f"task = {_toml_string(seen.task)}{_task_comment(seen)}",
        "",
        "# A short search over linear models, forests, boosted trees and networks.",
        "# Instead: a table [estimator] with a class, or a factory, of your own.",
        'estimator = "auto"',
        "",
        "[data]",
        named,
        *_layout_lines(source),
        *_target_lines(source, seen),
        *_exclude_lines(seen),
        "",
        "[split]",
        "test_share = 0.25           # of the rows, which training does not see",
        "seed = 0                    # decides which rows, and everything drawn at random",
        *_split_lines(seen),
        "",
        "[search]",
        *_scoring_lines(seen),
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


def _task_comment(seen: TableDescription) -> str:
    if seen.balance:
        shown = list(seen.balance.items())[:MAX_LABELS_LISTED]
        told = ", ".join(f"{_one_line(label)} {count}" for label, count in shown)
        more = len(seen.balance) - len(shown)
        told += f" and {more} more" if more > 0 else ""
        return f"     # {len(seen.balance)} labels: {told}"
    if seen.task == "regression":
        columns = {column.name: column for column in seen.columns}
        return f"     # {columns[seen.targets[0]].distinct} different numbers"
    return ""


def _layout_lines(source: Source) -> list[str]:
    layout = source.layout
    if layout is None:
        return []
    lines = []
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
    return lines


def _target_lines(source: Source, seen: TableDescription) -> list[str]:
    # Rows that come with a target beside them have no column to name.
    if not seen.targets or source.targets:
        return []
    if len(seen.targets) == 1:
        return [f"target = {_toml_string(seen.targets[0])}"]
    return [f"target = [{', '.join(map(_toml_string, seen.targets))}]"]


def _exclude_lines(seen: TableDescription) -> list[str]:
    out = [c for c in seen.columns if c.left_out and c.name not in seen.targets]
    if not out:
        return []
    width = max(len(_toml_string(c.name)) for c in out) + 1
    lines = [f"    {_toml_string(c.name) + ',':<{width}}   # {_one_line(c.left_out)}" for c in out]
    return ["exclude = [", *lines, "]"]


def _split_lines(seen: TableDescription) -> list[str]:
    dates = [column.name for column in seen.columns if column.kind == "dates"]
    groups = [c.name for c in seen.columns if c.left_out.startswith("identifies something")]
    lines = []
    for key, names, why in (
        ("time", dates, "to test on the latest rows"),
        ("groups", groups, "to keep its rows together"),
    ):
        if names:
            lines.append(f"# {key} = {_toml_string(names[0])}{' ' * 4}# {why}")
    return lines


def _scoring_lines(seen: TableDescription) -> list[str]:
    if not seen.is_unbalanced:
        return []
    return ['scoring = "balanced_accuracy"   # accuracy would not notice the rarest label']


def _toml_string(text: str) -> str:
    """*text* as a string of TOML: JSON's, but for one character more that must be escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    """*text* for a comment, which may hold no control character."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:120]
