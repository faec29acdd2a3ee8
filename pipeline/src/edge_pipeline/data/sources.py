"""Whatever a user hands over as a table in; a frame, and how a recipe would name it, out."""

from __future__ import annotations

import csv
import importlib
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from edge_pipeline.data.csv import Layout, detect_layout, open_text, read_csv_wide_as_text
from edge_pipeline.data.recipe import BUNDLED_DATASETS
from edge_pipeline.data.tables import (
    ARROW,
    PARQUET,
    as_frame,
    read_arrays,
    read_table,
    thousands_separator,
)
from edge_pipeline.errors import DatasetError

__all__ = ["Source", "read_source"]


@dataclass(frozen=True)
class Source:
    """A table that was read.

    Attributes
    ----------
    name
        For messages.
    frame
        Its rows; a target that came beside them is a column too.
    file, dataset
        What a recipe would say: the path, or scikit-learn's name; both None for a frame.
    targets
        The columns that came as the target.
    layout
        How a CSV file is written.
    """

    name: str
    frame: pd.DataFrame
    file: Path | None = None
    dataset: str | None = None
    targets: tuple[str, ...] = ()
    layout: Layout | None = None


def read_source(table: Any) -> Source:
    """Read *table*: a file, a frame, or the name of a data set of scikit-learn.

    Raises
    ------
    DatasetError
        It is none of these, or cannot be read.
    OSError
        The file cannot be read.
    """
    if not isinstance(table, str | Path):
        frame = as_frame(table)
        return Source("the frame", frame.set_axis([str(name) for name in frame.columns], axis=1))
    file = Path(table)
    if str(table) in BUNDLED_DATASETS and not file.exists():
        return _load_sklearn_dataset(str(table))
    if file.suffix == ".npz":
        X, y = read_arrays(file, None)
        frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        return _with_targets(Source(str(file), frame, file=file), y)
    if file.suffix in (*PARQUET, *ARROW):
        return Source(str(file), read_table(file), file=file)
    layout = _guess_layout(file)
    frame = read_csv_wide_as_text(file, layout)
    marks = {mark for name in frame.columns if (mark := thousands_separator(frame[name]))}
    if len(marks) == 1:
        layout = replace(layout, thousands=marks.pop())
        frame = read_csv_wide_as_text(file, layout)
    return Source(str(file), frame, file=file, layout=layout)


def _load_sklearn_dataset(name: str) -> Source:
    load = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")
    X, y = load(return_X_y=True, as_frame=True)
    source = Source(f"scikit-learn's {name}", X, dataset=name)
    return _with_targets(source, y)


def _with_targets(source: Source, y: Any) -> Source:
    if y is None:
        return source
    columns = pd.DataFrame(y)
    names = ["target" if columns.shape[1] == 1 else f"target {name}" for name in columns.columns]
    columns.columns = pd.Index(names)
    frame = pd.concat([source.frame, columns.set_index(source.frame.index)], axis=1)
    return replace(source, frame=frame, targets=tuple(names))


def _guess_layout(file: Path) -> Layout:
    """The layout of a CSV file, its encoding and a leading row index included."""
    layout = Layout(encoding=_guess_encoding(file))
    with open_text(file, layout.encoding) as text:
        first = list(itertools.islice(text, 1))
    for mark in (",", ";", "\t", "|"):
        names = next(csv.reader(first, delimiter=mark), [])
        if len(names) > 1 and not names[0] and all(names[1:]):
            layout = replace(layout, row_index=True)
    return detect_layout(file, layout)


def _guess_encoding(file: Path) -> str:
    """UTF-8 when the file is; UTF-16 when it says so; what Windows writes otherwise."""
    try:
        with open_text(file, "utf-8") as text:
            for _ in text:
                pass
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    for name in ("utf-16", "cp1252"):
        try:
            with open_text(file, name) as text:
                head = text.read(2000)
        except UnicodeError:
            continue
        if name == "cp1252" or "\x00" not in head:
            return name
    raise DatasetError(f"{file}: no text in UTF-8, UTF-16 or cp1252; save it as UTF-8")
