"""Define the tables of recipe.toml and their keys, and check each table by itself.

docs/recipe.md explains every key; :mod:`edge_pipeline.data.recipe` checks the tables together.
"""

from __future__ import annotations

import datetime
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from edge_runtime.bundle.date_rule import DateStyle
from edge_runtime.bundle.reading import THOUSANDS, CellRule, Reading
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from edge_pipeline.data.databases import check_url
from edge_pipeline.data.imports import find_class, find_function
from edge_pipeline.data.missing_policy import CHOICES
from edge_pipeline.data.workbooks import is_workbook

__all__ = [
    "DataTable",
    "EstimatorTable",
    "ExportTable",
    "InputTable",
    "PreprocessingTable",
    "Range",
    "ReadingTable",
    "ReportTable",
    "SearchTable",
    "SplitTable",
    "Task",
    "TrainingTable",
    "ValidationTable",
]

Task = Literal["classification", "regression", "clustering", "anomaly", "transform"]
ColumnKind = Literal["float64", "int64", "bool", "string"]
Words = Annotated[tuple[str, ...], Field(strict=False)]
Letter = Annotated[str, Field(min_length=1, max_length=1)]

TABLE = ConfigDict(extra="forbid", frozen=True, strict=True)
"""The settings of every table: no unknown key, no change, no silent conversion."""


def _one_or_several(value: Any) -> Any:
    """Accept a column's name, or a list of names."""
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"expected a column's name, or a list of them, found {value!r:.80}")


class DataTable(BaseModel):
    """``[data]``: where the rows come from, and which columns are used."""

    model_config = TABLE

    file: str | None = None
    sheet: str | None = None
    database: str | None = None
    query: str | None = None
    function: str | None = None
    dataset: str | None = None
    target: Annotated[str | tuple[str, ...] | None, BeforeValidator(_one_or_several)] = None
    features: Words | None = None
    exclude: Words = ()
    types: dict[str, ColumnKind] = {}
    chunk_rows: Annotated[int, Field(ge=100)] | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the target columns."""
        if self.target is None:
            return ()
        return (self.target,) if isinstance(self.target, str) else self.target

    @model_validator(mode="after")
    def _one_source(self) -> DataTable:
        sources = (self.file, self.database, self.function, self.dataset)
        if sum(source is not None for source in sources) != 1:
            raise ValueError(
                'give one of file = "table.csv", database = "sqlite:///shop.db", '
                'function = "module:function" and dataset = "iris"'
            )
        if (self.database is None) != (self.query is None):
            raise ValueError("database and query belong together; give both")
        if self.database is not None and (fault := check_url(self.database)):
            raise ValueError(f"database {fault}")
        if self.sheet is not None and not is_workbook(Path(self.file or "")):
            raise ValueError("sheet names a sheet of a workbook; remove it")
        if self.chunk_rows is not None and self.file is None:
            raise ValueError("chunk_rows reads a file in parts; give file")
        if self.features is not None and self.exclude:
            raise ValueError("give features or exclude, not both")
        if self.features is not None and not self.features:
            raise ValueError("features is empty; name columns, or leave it out to use all")
        for key, names in (("features", self.features or ()), ("target", self.targets)):
            for name, count in Counter(names).items():
                if count > 1:
                    raise ValueError(f"{key} names {name!r} {count} times")
        return self


def _one_mark(value: Any) -> Any:
    if value not in ("", *THOUSANDS):
        raise ValueError(f"expected one of {' '.join(THOUSANDS)}, found {value!r:.80}")
    return value


Thousands = Annotated[str, BeforeValidator(_one_mark)]


class CellsOfColumn(BaseModel):
    """``[reading.columns]``: how the cells of one column become values."""

    model_config = TABLE

    mark: Annotated[str, Field(max_length=100)] = ""
    decimal: Literal[".", ","] | None = None
    thousands: Thousands | None = None
    date: DateStyle | None = None


class ReadingTable(BaseModel):
    """``[reading]``: how the text of the table becomes values; the device reads alike."""

    model_config = TABLE

    separator: Letter | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Thousands | None = None
    encoding: str = "utf-8"
    row_index: bool = False
    header: bool | None = None
    names: Words = ()
    missing: Words = ()
    columns: dict[str, CellsOfColumn] = {}

    @model_validator(mode="after")
    def _consistent(self) -> ReadingTable:
        if self.names and self.header is not False:
            raise ValueError("names belongs to header = false; a header names the columns itself")
        if any(c.date and (c.mark or c.decimal or c.thousands) for c in self.columns.values()):
            raise ValueError("a column of dates has no mark, decimal or thousands")
        if fault := self.reading().fault():
            raise ValueError(fault)
        return self

    def reading(self) -> Reading:
        """Return the reading, with defaults in place of what is detected."""
        return Reading(
            self.separator or ",",
            self.decimal or ("," if self.thousands == "." else "."),
            self.thousands or "",
            self.encoding,
            self.missing,
            self.names,
            self.rules,
        )

    @property
    def rules(self) -> dict[str, CellRule]:
        """The rules of single columns, as the manifest has them."""
        return {
            name: CellRule(cells.mark, cells.decimal, cells.thousands, cells.date)
            for name, cells in self.columns.items()
        }


class SplitTable(BaseModel):
    """``[split]``: which rows are test rows."""

    model_config = TABLE

    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    stratify: bool | None = None
    groups: str | None = None
    time: str | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> SplitTable:
        rules = [name for name in ("groups", "time") if getattr(self, name) is not None]
        if len(rules) > 1 or (rules and self.stratify):
            raise ValueError("give one of groups, time and stratify = true")
        return self


class ValidationTable(BaseModel):
    """``[validation]``: the folds of a search."""

    model_config = TABLE

    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    repeats: Annotated[int, Field(ge=1, le=100)] | None = None


class PreprocessingTable(BaseModel):
    """``[preprocessing]``: the usual steps before the estimator, by type of column."""

    model_config = TABLE

    numbers: Annotated[tuple[Literal["impute", "scale"], ...], Field(strict=False)] = ()
    strings: Annotated[tuple[Literal["impute", "one-hot"], ...], Field(strict=False)] = ()


class EstimatorTable(BaseModel):
    """``[estimator]``: a preset, a class with parameters, or a function that returns one."""

    model_config = ConfigDict(**TABLE, validate_by_name=True, validate_by_alias=True)

    preset: Literal["auto"] | None = None
    families: Annotated[
        tuple[Literal["linear", "boosting", "forest", "network"], ...],
        Field(strict=False, min_length=1),
    ] = ("linear", "boosting", "forest", "network")
    class_path: Annotated[str | None, Field(alias="class")] = None
    factory: str | None = None
    parameters: dict[str, Any] = {}

    def find(self) -> Any:
        """Import the class or the factory; ImportingError when it does not exist."""
        if self.class_path is not None:
            return find_class(self.class_path)
        return find_function(self.factory or "")

    @model_validator(mode="after")
    def _one_source(self) -> EstimatorTable:
        if sum(source is not None for source in (self.preset, self.class_path, self.factory)) != 1:
            raise ValueError(
                'give one of class = "package.module.Class", factory = "module:function" '
                'and preset = "auto"'
            )
        if self.preset is None and "families" in self.model_fields_set:
            raise ValueError('families belongs to preset = "auto"')
        if self.preset is not None and self.parameters:
            raise ValueError('preset = "auto" brings its own parameters; remove them')
        return self


class Range(BaseModel):
    """A range of numbers to draw from: ``{ low = 0.01, high = 10, scale = "log" }``."""

    model_config = TABLE

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    whole: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, found {self.low} and {self.high}")
        if self.scale == "log" and not self.low > 0:
            raise ValueError(f'scale = "log" needs low above 0, found {self.low}')
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("whole = true needs whole numbers for low and high")
        return self


def _values_or_range(value: Any) -> Any:
    """Accept a list of values to try, or a range."""
    if isinstance(value, list | Range):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"expected a list of values or {{ low, high }}, found {value!r:.80}")
    for name in value:
        if name not in Range.model_fields:
            raise ValueError(f"unknown key {name!r}; allowed: {', '.join(Range.model_fields)}")
    try:
        return Range.model_validate(value)
    except ValidationError as error:
        details = error.errors()[0]
        reason = str(details.get("ctx", {}).get("error", details["msg"]))
        raise ValueError(" ".join([*map(str, details["loc"]), reason])) from error


class SearchTable(BaseModel):
    """``[search]``: which parameters to try, how, and which result to prefer."""

    model_config = TABLE

    method: Literal["grid", "random", "halving"] = "random"
    parameters: dict[str, Annotated[list[Any] | Range, BeforeValidator(_values_or_range)]] = {}
    candidates: Annotated[int, Field(ge=1, le=100_000)] = 20
    scoring: str | None = None
    prefer: Literal["score", "small", "fast"] = "score"
    score_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01
    measured: Annotated[int, Field(ge=0, le=100)] | None = None
    max_seconds: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _something_to_try(self) -> SearchTable:
        for name, values in self.parameters.items():
            if isinstance(values, list) and not values:
                raise ValueError(f"parameters.{name} is empty; list the values to try")
            if isinstance(values, Range) and self.method == "grid":
                raise ValueError(
                    f'parameters.{name} is a range, and method = "grid" tries listed values; '
                    'list them, or say method = "random"'
                )
        if self.prefer != "score" and self.measured == 0:
            raise ValueError(f'prefer = "{self.prefer}" needs measured above 0')
        return self


class TrainingTable(BaseModel):
    """``[training]``: epochs over a table that is read in chunks (``data.chunk_rows``)."""

    model_config = TABLE

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 1
    patience: Annotated[int, Field(ge=1)] | None = None


class LimitsOfColumn(BaseModel):
    """``[input.limits]``: the values that a column can have; the device refuses any other."""

    model_config = TABLE

    min: Annotated[float | None, Field(allow_inf_nan=False)] = None
    max: Annotated[float | None, Field(allow_inf_nan=False)] = None
    values: Annotated[tuple[str | bool | float, ...] | None, Field(strict=False)] = None


def _choice_or_choices(value: Any) -> Any:
    """Accept one choice for all columns, or a table from columns to choices."""
    for choice in value.values() if isinstance(value, dict) else [value]:
        if choice not in CHOICES:
            raise ValueError(
                f"expected one of {', '.join(map(repr, CHOICES))}, or a table from columns to "
                f"them, found {choice!r:.80}"
            )
    return value


class InputTable(BaseModel):
    """``[input]``: what the device accepts."""

    model_config = TABLE

    missing: Annotated[str | dict[str, str], BeforeValidator(_choice_or_choices)] = "as-estimator"
    limits: dict[str, LimitsOfColumn] = {}

    @property
    def limits_by_column(self) -> dict[str, dict[str, Any]]:
        """The limits, as :func:`edge_pipeline.export` takes them."""
        return {name: table.model_dump(exclude_none=True) for name, table in self.limits.items()}

    @property
    def names_by_key(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The columns that each key names."""
        missing = tuple(self.missing) if isinstance(self.missing, dict) else ()
        return ("input.missing", missing), ("input.limits", tuple(self.limits))


class ExportTable(BaseModel):
    """``[export]``: tolerance, budget of the comparison, and metrics of the sealed file."""

    model_config = TABLE

    tolerance: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 1e-9
    probe_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    metrics: Words | None = None


class ReportTable(BaseModel):
    """Hold the recipe's table ``[report]``.

    Attributes
    ----------
    date
        Date of the training.  A build never reads the clock, so that its bytes stay the same.
    description
        The purpose of the model, in the user's words.
    groups
        Columns for which the report shows errors by group.
    rows
        Whether the report may show single rows.
    """

    model_config = TABLE

    date: datetime.date | str | None = None
    description: str | None = None
    groups: Annotated[tuple[str, ...], Field(strict=False)] = ()
    rows: bool = True
