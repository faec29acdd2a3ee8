"""recipe.toml: what is refused, with one line of file, key and remedy."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pydantic
import pytest
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.errors import RecipeError

CLASS = 'class = "sklearn.linear_model.LogisticRegression"'


def fault(file: Path) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        read_recipe(file)
    assert "\n" not in str(caught.value)
    assert caught.value.file == file
    return caught.value


def test_a_recipe_reads_the_same_from_its_folder_as_from_its_file(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)
    assert read_recipe(recipe_file.parent) == recipe
    assert (recipe.name, recipe.version, recipe.split.test_share) == ("boats", 1, 0.25)
    assert recipe.estimator.parameters == {"C": 2.0}
    assert recipe.export.tolerance == 1e-9


@pytest.mark.parametrize("name", ["linear", "penguins", "digits", "fuel"])
def test_every_model_of_the_repository_is_named_as_its_folder(root: Path, name: str) -> None:
    assert read_recipe(root / "models" / name).name == name


def test_a_recipe_that_was_read_cannot_be_changed(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)
    with pytest.raises((pydantic.ValidationError, dataclasses.FrozenInstanceError)):
        recipe.name = "ships"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("before", "after", "key", "part"),
    [
        ('target = "kind"', 'tarqet = "kind"', "data.tarqet", "allowed: file, "),
        ("[estimator]", "[estimater]", "estimater", "did you mean 'estimator'?"),
        ('name = "boats"', "name = 7", "name", "expected a string, found 7"),
        ('name = "boats"', 'name = "my/boats"', "name", "letters, digits"),
        ('name = "boats"', 'name = "boats"\nversion = 1.5', "version", "expected a whole number"),
        ('name = "boats"\n', "", "name", "missing"),
        ('"classification"', '"clasification"', "task", "did you mean 'classification'?"),
        ('numbers = ["impute"', 'numbers = ["imput"', "preprocessing.numbers.0", "'impute'"),
        ('target = "kind"', 'target = "kind"\nfeatures = "hull"', "data.features", "a list"),
        ('target = "kind"', 'target = "kind"\nfeatures = []', "data", "features is empty"),
        ('target = "kind"', 'target = "kind"\nfeatures = ["a", "a"]', "data", "'a' 2 times"),
        ('target = "kind"', 'target = "kind"\nfeatures = ["kind"]', "data.features", "target"),
        ('target = "kind"', "", "data.target", "learns a target column"),
        ('file = "boats.csv"', "", "data", "one of file"),
        ('target = "kind"', 'target = "kind"\n[split]\ntest_share = 1', "split.test_share", "1"),
        ('target = "kind"', 'target = "kind"\n[split]\nseed = true', "split.seed", "whole number"),
        (CLASS, CLASS + '\nfactory = "a:b"', "estimator", "one of class"),
        (CLASS, 'class = "LogisticRegression"', "estimator.class", "import path"),
        ("C = 2.0", "c = 2.0", "estimator.parameters.c", "did you mean 'C'?"),
        ("C = 2.0", "C = 2.0\n[export]\ntolerance = nan", "export.tolerance", "found nan"),
        ("C = 2.0", "C = 2.0\n[export]\ntolerance = 0", "export.tolerance", "greater than 0"),
        ("C = 2.0", 'C = 2.0\n[export]\nmetrics = ["acuracy"]', "export.metrics", "'accuracy'?"),
    ],
)
def test_an_error_is_one_line_with_file_key_and_remedy(
    changed: Callable[..., Path], before: str, after: str, key: str, part: str
) -> None:
    error = fault(changed((before, after)))
    assert error.key == key
    assert part in str(error)
    assert str(error).startswith(f"{error.file}: {key}: ")


@pytest.mark.parametrize(
    ("path", "suggestion"),
    [
        ("sklearn.linear_model.LogisticRegresion", "sklearn.linear_model.LogisticRegression"),
        ("sklearn.linear.Ridge", "sklearn.linear_model.Ridge"),
        ("sklearn.trees.DecisionTreeClassifier", "sklearn.tree.DecisionTreeClassifier"),
    ],
)
def test_a_misspelt_class_is_refused_with_the_right_path(
    changed: Callable[..., Path], path: str, suggestion: str
) -> None:
    error = fault(changed((CLASS, f'class = "{path}"')))
    assert error.key == "estimator.class"
    assert f"did you mean {suggestion!r}?" in str(error)


def test_a_class_without_fit_is_no_estimator(changed: Callable[..., Path]) -> None:
    error = fault(changed((CLASS, 'class = "collections.OrderedDict"')))
    assert "no estimator" in str(error)


def test_text_that_is_not_toml_is_named_with_its_line(recipe_file: Path) -> None:
    recipe_file.write_text("name = \n", encoding="utf-8")
    assert "line 1" in str(fault(recipe_file))
    recipe_file.write_bytes(b'name = "\xff"\n')
    assert "not valid TOML" in str(fault(recipe_file))


def test_a_missing_recipe_stays_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"recipe\.toml"):
        read_recipe(tmp_path)


def test_metrics_without_test_rows_are_refused(changed: Callable[..., Path]) -> None:
    text = '[split]\ntest_share = 0\n[export]\nmetrics = ["accuracy"]\n[estimator]'
    assert "no row is left" in str(fault(changed(("[estimator]\n", text + "\n"))))


def test_a_factory_beside_the_recipe_leaves_no_module_behind(
    changed: Callable[..., Path],
) -> None:
    file = changed((CLASS, 'factory = "shipyard:make"'))
    (file.parent / "shipyard.py").write_text("def make(C): ...\n", encoding="utf-8")
    path, modules = list(sys.path), set(sys.modules)
    assert read_recipe(file).estimator.factory == "shipyard:make"
    assert sys.path == path
    assert "shipyard" not in set(sys.modules) - modules


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("def mak(C): ...", "did you mean 'shipyard:mak'?"),
        ("make = 7", "is a int, not a function"),
        ("import no_such_module", "needs 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def make(size): ...", "has no such parameter"),
    ],
)
def test_a_factory_that_cannot_work_is_named(
    changed: Callable[..., Path], source: str, part: str
) -> None:
    file = changed((CLASS, 'factory = "shipyard:make"'))
    (file.parent / "shipyard.py").write_text(source + "\n", encoding="utf-8")
    assert part in str(fault(file))


def test_two_recipes_may_each_have_a_module_of_the_same_name(
    tmp_path: Path, recipe_file: Path
) -> None:
    text = recipe_file.read_text(encoding="utf-8").replace(CLASS, 'factory = "shipyard:make"')
    for folder, parameter in (("one", "C"), ("two", "size")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "shipyard.py").write_text(f"def make({parameter}): ...\n")
        (tmp_path / folder / "recipe.toml").write_text(text)
    read_recipe(tmp_path / "one")
    assert "it has size" in str(fault(tmp_path / "two" / "recipe.toml"))
