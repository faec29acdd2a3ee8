"""Training: coefficients, losses and metrics; seeds; and errors that name the cause."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_pipeline.data.dataset import load_dataset
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.errors import RecipeError, TrainingError
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.fit import FittedModel, make_estimator, train
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CLASS = "sklearn.linear_model.LogisticRegression"
PREPROCESSING = """[preprocessing]
numbers = ["impute", "scale"]
strings = ["impute", "one-hot"]
"""


class Epochs(ProgressListener):
    def __init__(self) -> None:
        self.losses: list[tuple[int, float]] = []

    def epoch(self, number: int, loss: float) -> None:
        self.losses.append((number, loss))


def fit(file: Path, watcher: ProgressListener | None = None) -> FittedModel:
    recipe = read_recipe(file)
    return train(recipe, load_dataset(recipe), watcher=watcher or ProgressListener())


def test_the_line_has_coefficient_2_and_intercept_0(root: Path) -> None:
    linear = fit(root / "models/linear").linear
    assert linear is not None
    assert linear.coefficients == {"x": pytest.approx(2.0, abs=1e-12)}
    assert linear.intercept == pytest.approx(0.0, abs=1e-12)


def test_the_penguins_recipe_is_the_everyday_pipeline(root: Path) -> None:
    recipe = read_recipe(root / "models/penguins")
    dataset = load_dataset(recipe)
    everyday = make_pipeline(
        ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                    list(dataset.numbers),
                ),
                (
                    "strings",
                    make_pipeline(
                        SimpleImputer(strategy="most_frequent"),
                        OneHotEncoder(handle_unknown="ignore"),
                    ),
                    list(dataset.strings),
                ),
            ]
        ),
        LogisticRegression(max_iter=1000, random_state=0),
    )
    everyday.fit(dataset.X_train, dataset.y_train)
    fitted = train(recipe, dataset)
    expected = everyday.predict_proba(dataset.X_test)
    assert np.array_equal(fitted.estimator.predict_proba(dataset.X_test), expected)
    assert fitted.metrics["accuracy"] == everyday.score(dataset.X_test, dataset.y_test)
    assert fitted.metrics["accuracy"] > 0.95
    assert fitted.linear is None, "three species have three sets of coefficients"


def test_the_loss_of_each_epoch_is_reported_and_falls(root: Path) -> None:
    epochs = Epochs()
    fitted = fit(root / "models/digits", epochs)
    numbers, losses = zip(*epochs.losses, strict=True)
    assert numbers == tuple(range(1, len(fitted.loss_curve) + 1))
    assert losses == pytest.approx(fitted.loss_curve, abs=1e-7)
    assert losses[-1] < losses[4] < losses[0]
    assert fitted.metrics["accuracy"] > 0.95
    assert fitted.warnings == ()


def test_a_listener_does_not_change_the_training(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = fit(root / "models/digits", Epochs()).estimator[-1]
    recipe = read_recipe(root / "models/digits")
    unwatched = train(recipe, load_dataset(recipe)).estimator[-1]
    for here, there in zip(watched.coefs_, unwatched.coefs_, strict=True):
        assert np.array_equal(here, there)
    assert watched.get_params() == unwatched.get_params()
    assert capsys.readouterr() == ("", "")


def test_the_regression_learns_from_numbers_and_strings(root: Path) -> None:
    fitted = fit(root / "models/fuel")
    assert fitted.linear is not None
    assert {"numbers__displ", "strings__class_suv"} <= set(fitted.linear.coefficients)
    assert fitted.metrics["r2"] > 0.7


def test_an_unset_random_state_gets_the_seed(
    changed: Callable[..., Path],
) -> None:
    file = changed((CLASS, "sklearn.ensemble.RandomForestClassifier"), ("C = 2.0", ""))
    recipe = read_recipe(changed(("[estimator]\n", "[split]\nseed = 7\n[estimator]\n")))
    dataset = load_dataset(recipe)
    assert make_estimator(recipe, dataset)[-1].random_state == 7
    file.write_text(file.read_text() + "random_state = 3\n")
    assert make_estimator(read_recipe(file), dataset)[-1].random_state == 3


def test_a_factory_is_called_with_the_parameters(changed: Callable[..., Path]) -> None:
    file = changed((f'class = "{CLASS}"', 'factory = "shipyard:make"'))
    (file.parent / "shipyard.py").write_text(
        "from sklearn.linear_model import LogisticRegression\n"
        "def make(C):\n"
        "    return LogisticRegression(C=C * 10)\n"
    )
    estimator = fit(file).estimator
    assert isinstance(estimator, Pipeline)
    assert estimator[-1].C == 20


def test_a_factory_that_fails_is_named(
    changed: Callable[..., Path],
) -> None:
    file = changed((f'class = "{CLASS}"', 'factory = "shipyard:make"'))
    module = file.parent / "shipyard.py"
    module.write_text("def make(C):\n    raise RuntimeError('no wood')\n")
    with pytest.raises(TrainingError, match="shipyard:make failed: RuntimeError: no wood"):
        fit(file)
    module.write_text("def make(C):\n    return 'a boat'\n")
    with pytest.raises(RecipeError, match="returned a str, not an estimator"):
        fit(file)


@pytest.mark.parametrize("value", ["-1.0", '"much"'])
def test_a_refused_parameter_value_is_named_with_its_key(
    changed: Callable[..., Path], value: str
) -> None:
    with pytest.raises(RecipeError, match="must be a float in the range") as caught:
        fit(changed(("C = 2.0", f"C = {value}")))
    assert caught.value.key == "estimator.parameters.C"


def test_strings_without_preprocessing_are_refused_with_the_remedy(
    changed: Callable[..., Path],
) -> None:
    with pytest.raises(TrainingError, match=r"hull.*strings = \[\"impute\", \"one-hot\"\]"):
        fit(changed((PREPROCESSING, "")))
    with pytest.raises(RecipeError, match="'hull' holds strings"):
        fit(changed(("[estimator]\n", '[preprocessing]\nnumbers = ["impute"]\n[estimator]\n')))


def test_missing_values_without_impute_are_refused_with_the_remedy(
    changed: Callable[..., Path], recipe_file: Path
) -> None:
    table = recipe_file.parent / "boats.csv"
    table.write_text(table.read_text().replace("6.0,", ",", 1))
    with pytest.raises(TrainingError, match=r"NaN.*numbers = \[\"impute\"\]"):
        fit(changed(('numbers = ["impute", "scale"]', 'numbers = ["scale"]')))


def test_numbers_may_pass_unchanged(changed: Callable[..., Path]) -> None:
    fitted = fit(changed(('numbers = ["impute", "scale"]\n', "")))
    assert "length" in fitted.estimator[:-1].get_feature_names_out()[0]


def test_a_metric_that_cannot_be_measured_is_named(
    changed: Callable[..., Path], recipe_file: Path
) -> None:
    table = recipe_file.parent / "boats.csv"
    table.write_text(table.read_text() + "".join(f"{9 + i},3,oak,barque\n" for i in range(8)))
    file = changed(("C = 2.0", 'C = 2.0\n[export]\nmetrics = ["roc_auc"]'))
    with pytest.raises(RecipeError, match="roc_auc") as caught:
        fit(file)
    assert caught.value.key == "export.metrics"


def test_warnings_of_the_estimator_are_kept(changed: Callable[..., Path]) -> None:
    fitted = fit(changed(("C = 2.0", "C = 2.0\nmax_iter = 1")))
    assert len(fitted.warnings) == 1
    assert "converge" in fitted.warnings[0]
    assert "\n" not in fitted.warnings[0]


def test_a_single_label_is_refused_before_training(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)
    rows = load_dataset(recipe)
    assert rows.y_train is not None
    single_label = replace(rows, y_train=np.full_like(rows.y_train, rows.y_train[0]))
    with pytest.raises(TrainingError, match="two labels or more"):
        train(recipe, single_label)


def test_a_label_that_only_test_rows_have_is_noted(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)
    rows = load_dataset(recipe)
    assert rows.y_test is not None
    y_test = rows.y_test.astype(object)
    y_test[0] = "galleon"
    notes = train(recipe, replace(rows, y_test=y_test)).warnings
    assert [note for note in notes if "'galleon' is in 1 of the test rows" in note]
    assert not [note for note in train(recipe, rows).warnings if "test rows" in note]


def test_clustering_needs_no_target(changed: Callable[..., Path]) -> None:
    file = changed(
        ('"classification"', '"clustering"'),
        ('target = "kind"', 'exclude = ["kind"]'),
        (CLASS, "sklearn.cluster.KMeans"),
        ("C = 2.0", "n_clusters = 2"),
    )
    fitted = fit(file)
    assert fitted.y_train is None
    assert fitted.metrics == {}
    assert fitted.estimator[-1].n_clusters == 2
