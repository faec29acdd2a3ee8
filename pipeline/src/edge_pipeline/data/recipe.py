"""Read and check recipe.toml, and import the code that it names.

docs/recipe.md explains every key.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, get_origin

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr, ValidationError

from edge_pipeline.data.imports import (
    ImportingError,
    did_you_mean,
    find_function,
    join_names,
    modules_from,
)
from edge_pipeline.data.limits_table import LimitsTable
from edge_pipeline.data.recipe_schema import (
    TABLE,
    DataTable,
    EstimatorTable,
    ExportTable,
    InputTable,
    PreprocessingTable,
    ReadingTable,
    ReportTable,
    SearchTable,
    SplitTable,
    Task,
    TrainingTable,
    ValidationTable,
)
from edge_pipeline.errors import RecipeError
from edge_pipeline.short_repr import short_repr

__all__ = ["BUNDLED_DATASETS", "FILE_NAME", "Recipe", "read_recipe"]

FILE_NAME = "recipe.toml"


def _preset_or_table(value: Any) -> Any:
    """Turn ``estimator = "auto"`` into the table ``{ preset = "auto" }``."""
    return {"preset": value} if isinstance(value, str) else value


@short_repr
class Recipe(BaseModel):
    """Everything that decides what a model is: the same recipe and table give the same bytes.

    Attributes
    ----------
    name
        The name of the model, and of the file written.
    task
        The task, as in the manifest.
    version
        The model's version number; increase it when you train anew.
    data, reading, split, validation, preprocessing, estimator, search, training, input, export
        Tables of the file.
    limits, report
        Tables of the file.
    """

    model_config = TABLE

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    task: Task
    version: Annotated[int, Field(ge=1, lt=2**53)] = 1
    data: DataTable
    reading: ReadingTable = ReadingTable()
    split: SplitTable = SplitTable()
    validation: ValidationTable = ValidationTable()
    preprocessing: PreprocessingTable | None = None
    estimator: Annotated[EstimatorTable, BeforeValidator(_preset_or_table)]
    search: SearchTable | None = None
    training: TrainingTable = TrainingTable()
    input: InputTable = InputTable()
    export: ExportTable = ExportTable()
    limits: LimitsTable | None = None
    report: ReportTable = ReportTable()
    _file: Path = PrivateAttr(default=Path(FILE_NAME))

    @property
    def file(self) -> Path:
        """The file that was read; relative paths in it start from its folder."""
        return self._file

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the scorers: the recipe's, or the default ones of its task."""
        if self.export.metrics is not None:
            return self.export.metrics
        if not self.split.test_share:
            return ()
        if self.task == "classification" and len(self.data.targets) > 1:
            return _MULTI_LABEL_METRICS
        return _DEFAULT_METRICS.get(self.task, ())

    def error(self, key: str | None, message: str) -> RecipeError:
        """Make an error about *key* of this recipe."""
        return RecipeError(message, file=self._file, key=key)


BUNDLED_DATASETS = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
"""Tables that scikit-learn ships: ``sklearn.datasets.load_NAME``."""

_DEFAULT_METRICS = {
    "classification": ("accuracy", "balanced_accuracy"),
    "regression": ("r2", "neg_mean_absolute_error"),
}

_MULTI_LABEL_METRICS = ("accuracy", "f1_macro")


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe, and check all that can be checked without its rows.

    Parameters
    ----------
    path
        A recipe, or the folder of one named recipe.toml.

    Raises
    ------
    RecipeError
        The file is not TOML; a key is unknown, missing or has a wrong type; or the recipe names a
        class, function, parameter or metric that does not exist.
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
    _move_reading_keys(value)
    try:
        recipe = Recipe.model_validate(value)
    except ValidationError as error:
        key, message = _first_error(error)
        raise RecipeError(message, file=file, key=key) from error
    recipe._file = file
    with modules_from(file.parent):
        _check_estimator(recipe)
        _check_function(recipe)
    _check_dataset(recipe)
    _check_target(recipe)
    _check_metrics(recipe)
    _check_search(recipe)
    _check_chunks(recipe)
    return recipe


_MOVED_KEYS = ("separator", "decimal", "thousands", "encoding", "row_index")
"""Keys of ``[data]`` in older recipes, which belong to ``[reading]``."""


def _move_reading_keys(value: dict[str, Any]) -> None:
    """Move the keys of an older recipe that say how its table is read."""
    data, reading = value.get("data"), value.get("reading", {})
    if isinstance(data, dict) and isinstance(reading, dict):
        moved = {key: data[key] for key in _MOVED_KEYS if key in data and key not in reading}
        if moved:
            value["data"] = {key: item for key, item in data.items() if key not in moved}
            value["reading"] = {**reading, **moved}


def _check_estimator(recipe: Recipe) -> None:
    table = recipe.estimator
    if table.preset is not None:
        if recipe.preprocessing is not None:
            raise recipe.error(
                "preprocessing", 'estimator = "auto" brings its own; remove this table'
            )
        return
    key = "estimator.class" if table.class_path is not None else "estimator.factory"
    try:
        make = table.find()
    except ImportingError as error:
        raise recipe.error(key, str(error)) from error
    if table.class_path is not None and not (
        hasattr(make, "fit") and (hasattr(make, "predict") or hasattr(make, "transform"))
    ):
        raise recipe.error(
            key, f"{table.class_path!r} is no estimator: it needs fit, and predict or transform"
        )
    signature = inspect.signature(make)
    takes_any_name = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name in table.parameters:
        if name not in signature.parameters and not takes_any_name:
            raise recipe.error(
                f"estimator.parameters.{name}",
                f"{make.__name__} has no such parameter; it has "
                f"{join_names(signature.parameters) or 'none'}"
                f"{did_you_mean(name, signature.parameters)}",
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
    has_named_columns = table.database is not None or (
        table.file is not None and not table.file.endswith(".npz")
    )
    if has_named_columns and table.target is None and recipe.task in _DEFAULT_METRICS:
        raise recipe.error("data.target", f"missing; task {recipe.task!r} learns a target column")
    if table.dataset is not None and table.target is not None:
        raise recipe.error("data.target", f"{table.dataset!r} brings its target; remove this key")
    for name in table.targets:
        if name in (table.features or ()):
            raise recipe.error("data.features", f"names the target {name!r} too")
        if name in (recipe.split.groups, recipe.split.time):
            raise recipe.error("split", f"names the target {name!r} too")


def _check_dataset(recipe: Recipe) -> None:
    name = recipe.data.dataset
    if name is None or name in BUNDLED_DATASETS:
        return
    raise recipe.error(
        "data.dataset",
        f"scikit-learn ships no {name!r}; it ships {', '.join(BUNDLED_DATASETS)} (what it would "
        f"have to download is left to a function){did_you_mean(name, BUNDLED_DATASETS)}",
    )


def _check_search(recipe: Recipe) -> None:
    search, auto = recipe.search, recipe.estimator.preset is not None
    if search is None:
        return
    if auto:
        for key in ("method", "parameters", "candidates"):
            if key in search.model_fields_set:
                raise recipe.error(f"search.{key}", 'estimator = "auto" brings its own; remove it')
    elif not search.parameters:
        raise recipe.error("search.parameters", "missing; name what to try")
    if search.scoring is not None:
        _check_scorer(recipe, "search.scoring", search.scoring)
    elif recipe.task not in _DEFAULT_METRICS and not auto:
        raise recipe.error("search.scoring", f"missing; task {recipe.task!r} has no usual one")
    for name in search.parameters:
        if name in recipe.estimator.parameters:
            raise recipe.error(f"search.parameters.{name}", "stands in estimator.parameters too")


def _check_chunks(recipe: Recipe) -> None:
    if recipe.data.chunk_rows is None:
        if recipe.training.model_fields_set:
            raise recipe.error("training", "is for tables read in parts; give data.chunk_rows")
        return
    split = recipe.split
    for key, value in (
        ("search", recipe.search),
        ("split.groups", split.groups),
        ("split.time", split.time),
        ("split.stratify", split.stratify),
        ("estimator.preset", recipe.estimator.preset),
    ):
        if value is not None:
            raise recipe.error(key, "is not possible with data.chunk_rows; remove one of them")


def _check_metrics(recipe: Recipe) -> None:
    if not recipe.metrics:
        return
    if not recipe.split.test_share:
        raise recipe.error(
            "export.metrics", "split.test_share is 0, so no row is left to measure them on"
        )
    for name in recipe.metrics:
        _check_scorer(recipe, "export.metrics", name)


def _check_scorer(recipe: Recipe, key: str, name: str) -> None:
    from sklearn.metrics import get_scorer_names

    names = get_scorer_names()
    if name not in names:
        raise recipe.error(key, f"{name!r} is no scorer of scikit-learn{did_you_mean(name, names)}")


_TYPE_NAMES = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list of strings",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def _first_error(error: ValidationError) -> tuple[str, str]:
    """Return the key and the message of the first error.

    An unknown key comes first: a misspelt key is often why another one is missing.
    """
    errors = sorted(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
    details = errors[0]
    path, context, value = details["loc"], details.get("ctx", {}), details["input"]
    key = ".".join(str(part) for part in path)
    match details["type"]:
        case "extra_forbidden":
            names = _allowed_keys(path[:-1])
            hint = did_you_mean(str(path[-1]), names)
            return key, f"unknown key; allowed: {', '.join(names)}{hint}"
        case "missing":
            return key, "missing"
        case "literal_error":
            allowed = context["expected"]
            hint = did_you_mean(str(value), re.findall("'(.*?)'", allowed))
            return key, f"expected {allowed}, found {value!r}{hint}"
        case "string_pattern_mismatch":
            return key, f"expected letters, digits, '.', '_' and '-' only, found {value!r}"
        case "value_error":
            return key, str(context["error"])
        case type_ if type_ in _TYPE_NAMES:
            return key, f"expected {_TYPE_NAMES[type_]}, found {value!r:.80}"
    message = details["msg"].replace("Input should", "it should")
    return key, f"{message}, found {value!r:.80}"


def _allowed_keys(path: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the table at *path* may have."""
    model: Any = Recipe
    parts = iter(path)
    for part in parts:
        annotation = model.model_fields[str(part)].annotation
        if get_origin(annotation) is dict:
            next(parts, None)  # a column's name
        options = [annotation, *getattr(annotation, "__args__", ())]
        tables = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if not tables:
            return []
        model = tables[0]
    return [field.alias or name for name, field in model.model_fields.items()]
