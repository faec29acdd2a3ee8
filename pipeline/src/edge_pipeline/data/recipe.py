"""recipe.toml in, a checked :class:`Recipe` out; reads that one file and imports what it names.

docs/recipe.md explains every key.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from edge_pipeline.data.importing import (
    ImportingError,
    did_you_mean,
    find_class,
    find_function,
    listed,
    modules_from,
)
from edge_pipeline.errors import RecipeError

__all__ = ["FILE_NAME", "Recipe", "read_recipe"]

FILE_NAME = "recipe.toml"

Task = Literal["classification", "regression", "clustering", "anomaly", "transform"]
ColumnKind = Literal["float64", "int64", "bool", "string"]
Words = Annotated[tuple[str, ...], Field(strict=False)]

_TABLE = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataTable(BaseModel):
    """``[data]``: where the rows come from, and which columns are used."""

    model_config = _TABLE

    file: str | None = None
    function: str | None = None
    target: str | None = None
    features: Words | None = None
    exclude: Words = ()
    types: dict[str, ColumnKind] = {}
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","

    @model_validator(mode="after")
    def _one_source(self) -> DataTable:
        if (self.file is None) == (self.function is None):
            raise ValueError('give one of file = "table.csv" and function = "module:function"')
        if self.features is not None and self.exclude:
            raise ValueError("give features or exclude, not both")
        if self.features is not None and not self.features:
            raise ValueError("features is empty; name columns, or leave it out to use all")
        for name, times in Counter(self.features or ()).items():
            if times > 1:
                raise ValueError(f"features names {name!r} {times} times")
        return self


class SplitTable(BaseModel):
    """``[split]``: which rows training does not see."""

    model_config = _TABLE

    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    stratify: bool | None = None


class PreprocessingTable(BaseModel):
    """``[preprocessing]``: the everyday steps before the estimator, by kind of column."""

    model_config = _TABLE

    numbers: Annotated[tuple[Literal["impute", "scale"], ...], Field(strict=False)] = ()
    strings: Annotated[tuple[Literal["impute", "one-hot"], ...], Field(strict=False)] = ()


class EstimatorTable(BaseModel):
    """``[estimator]``: a class with parameters, or a function that returns an estimator."""

    model_config = ConfigDict(**_TABLE, validate_by_name=True, validate_by_alias=True)

    class_path: Annotated[str | None, Field(alias="class")] = None
    factory: str | None = None
    parameters: dict[str, Any] = {}

    def find(self) -> Any:
        """Import what makes the estimator; ImportingError when there is no such thing."""
        if self.class_path is not None:
            return find_class(self.class_path)
        return find_function(self.factory or "")

    @model_validator(mode="after")
    def _one_source(self) -> EstimatorTable:
        if (self.class_path is None) == (self.factory is None):
            raise ValueError(
                'give one of class = "package.module.Class" and factory = "module:function"'
            )
        return self


class ExportTable(BaseModel):
    """``[export]``: what the sealed file must prove and carry."""

    model_config = _TABLE

    tolerance: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 1e-9
    metrics: Words | None = None


class Recipe(BaseModel):
    """Everything that decides what a model is: the same recipe and table give the same bytes.

    Attributes
    ----------
    name
        Of the model, and of the file written.
    task
        As in the manifest.
    version
        The model's own number; it grows when the model is trained anew.
    data, split, preprocessing, estimator, export
        The tables of the file.
    """

    model_config = _TABLE

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    task: Task
    version: Annotated[int, Field(ge=1, lt=2**53)] = 1
    data: DataTable
    split: SplitTable = SplitTable()
    preprocessing: PreprocessingTable | None = None
    estimator: EstimatorTable
    export: ExportTable = ExportTable()
    _file: Path = PrivateAttr(default=Path(FILE_NAME))

    @property
    def file(self) -> Path:
        """Where the recipe was read; what it names relatively lies beside it."""
        return self._file

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the scorers: those the recipe asks for, or the usual ones of its task."""
        if self.export.metrics is not None:
            return self.export.metrics
        return _USUAL_METRICS.get(self.task, ()) if self.split.test_share else ()

    def error(self, key: str | None, message: str) -> RecipeError:
        """An error about *key* of this recipe."""
        return RecipeError(message, file=self._file, key=key)


_USUAL_METRICS = {
    "classification": ("accuracy", "balanced_accuracy"),
    "regression": ("r2", "neg_mean_absolute_error"),
}


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe, and check everything that can be checked without its rows.

    Parameters
    ----------
    path
        A recipe, or the folder of one that is called recipe.toml.

    Raises
    ------
    RecipeError
        Not TOML, a key that is unknown, missing or of a wrong type, or a name of a class,
        function, parameter or metric that does not exist.
    OSError
        The file cannot be read.
    """
    file = Path(path)
    if file.is_dir():
        file = file / FILE_NAME
    try:
        value = tomllib.loads(file.read_bytes().decode("utf-8"))
    except ValueError as error:
        raise RecipeError(f"not valid TOML: {error}", file=file) from error
    try:
        recipe = Recipe.model_validate(value)
    except ValidationError as error:
        key, message = _first_fault(error)
        raise RecipeError(message, file=file, key=key) from error
    recipe._file = file
    with modules_from(file.parent):
        _check_estimator(recipe)
        _check_function(recipe)
    _check_target(recipe)
    _check_metrics(recipe)
    return recipe


def _check_estimator(recipe: Recipe) -> None:
    table = recipe.estimator
    key = "estimator.class" if table.class_path is not None else "estimator.factory"
    try:
        found = table.find()
    except ImportingError as error:
        raise recipe.error(key, str(error)) from error
    if table.class_path is not None and not (
        hasattr(found, "fit") and (hasattr(found, "predict") or hasattr(found, "transform"))
    ):
        raise recipe.error(
            key, f"{table.class_path!r} is no estimator: it needs fit, and predict or transform"
        )
    signature = inspect.signature(found)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name in table.parameters:
        if name not in signature.parameters and not takes_any:
            raise recipe.error(
                f"estimator.parameters.{name}",
                f"{found.__name__} has no such parameter{did_you_mean(name, signature.parameters)}"
                f"; it has {listed(signature.parameters) or 'none'}",
            )


def _check_function(recipe: Recipe) -> None:
    if recipe.data.function is None:
        return
    try:
        find_function(recipe.data.function)
    except ImportingError as error:
        raise recipe.error("data.function", str(error)) from error


def _check_target(recipe: Recipe) -> None:
    table = recipe.data
    if table.file is not None and table.target is None and recipe.task in _USUAL_METRICS:
        raise recipe.error("data.target", f"missing; task {recipe.task!r} learns a target column")
    if table.target is not None and table.target in (table.features or ()):
        raise recipe.error("data.features", f"names the target {table.target!r} too")


def _check_metrics(recipe: Recipe) -> None:
    if not recipe.metrics:
        return
    from sklearn.metrics import get_scorer_names

    if not recipe.split.test_share:
        raise recipe.error(
            "export.metrics", "split.test_share is 0, so no row is left to measure them on"
        )
    known = get_scorer_names()
    for name in recipe.metrics:
        if name not in known:
            raise recipe.error(
                "export.metrics",
                f"{name!r} is no scorer of scikit-learn{did_you_mean(name, known)}",
            )


_WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list of strings",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _first_fault(error: ValidationError) -> tuple[str, str]:
    """The first fault's key and what to do about it.

    An unknown key comes first: a misspelt one is also the reason for a missing one.
    """
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    place, context, found = fault["loc"], fault.get("ctx", {}), fault["input"]
    key = ".".join(str(part) for part in place)
    match fault["type"]:
        case "extra_forbidden":
            names = _keys_at(place[:-1])
            hint = did_you_mean(str(place[-1]), names)
            return key, f"unknown key{hint}; allowed: {', '.join(names)}"
        case "missing":
            return key, "missing"
        case "literal_error":
            allowed = context["expected"]
            hint = did_you_mean(str(found), re.findall("'(.*?)'", allowed))
            return key, f"expected {allowed}, found {found!r}{hint}"
        case "string_pattern_mismatch":
            return key, f"expected letters, digits, '.', '_' and '-' only, found {found!r}"
        case "value_error":
            return key, str(context["error"])
        case type_ if type_ in _WANTED:
            return key, f"expected {_WANTED[type_]}, found {found!r:.80}"
    message = fault["msg"].replace("Input should", "it should")
    return key, f"{message}, found {found!r:.80}"


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    """The keys that a table of the recipe may have."""
    model: Any = Recipe
    for part in place:
        annotation = model.model_fields[str(part)].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return [field.alias or name for name, field in model.model_fields.items()]
