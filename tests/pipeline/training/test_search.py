"""Searches: the scores of scikit-learn, early stops, and the candidate for the device."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.build_from_recipe import build
from edge_pipeline.data.dataset import load_dataset
from edge_pipeline.data.recipe import Recipe, read_recipe
from edge_pipeline.errors import RecipeError, TrainingError
from edge_pipeline.progress import ProgressListener
from edge_pipeline.training.engines import LOCAL
from edge_pipeline.training.fit import FittedModel, train
from edge_pipeline.training.search import search_parameters
from edge_pipeline.training.search_results import Candidate, DeviceFigures, pareto_front
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingRandomSearchCV,
    RepeatedStratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)

pytestmark = pytest.mark.slow

RECIPE = """\
name = "wells"
task = "{task}"
{top}
[data]
file = "wells.csv"
target = {target}
{more}
"""
LOGISTIC = '[estimator]\nclass = "sklearn.linear_model.LogisticRegression"\n'
FEW = "[validation]\nfolds = 2\nrepeats = 1\n"
FOLDS = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)


@pytest.fixture
def recipe_for(tmp_path: Path) -> Callable[..., Recipe]:
    """Make a recipe for a table of 120 wells, in which depth and rock decide on water."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "depth": rng.normal(size=120),
            "slope": rng.normal(size=120),
            "who": [f"w{i // 6}" for i in range(120)],
            "day": pd.date_range("2024-01-01", periods=120).astype(str),
        }
    )
    signal_ = frame.depth + 0.5 * frame.slope**2
    frame["water"] = np.where(signal_ + rng.normal(scale=0.5, size=120) > 0.4, "yes", "no")
    frame["yield"] = 3 * signal_ + rng.normal(scale=0.3, size=120)
    frame["deep"] = (frame.depth > 0).astype(int)
    frame["steep"] = (frame.slope > 0).astype(int)
    frame.to_csv(tmp_path / "wells.csv", index=False)

    def make(
        *, task: str = "classification", top: str = "", target: str = '"water"', more: str = ""
    ) -> Recipe:
        columns = 'features = ["depth", "slope"]\n'
        text = RECIPE.format(task=task, top=top, target=target, more=columns + more)
        (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
        return read_recipe(tmp_path)

    return make


def trained(recipe: Recipe, watcher: ProgressListener | None = None) -> FittedModel:
    return train(recipe, load_dataset(recipe), watcher=watcher or ProgressListener())


def search(recipe: Recipe) -> Any:
    result = trained(recipe).search
    assert result is not None
    return result


def test_a_grid_gives_the_scores_and_the_best_of_scikit_learn(
    recipe_for: Callable[..., Recipe],
) -> None:
    values = [0.001, 0.1, 1.0, 100.0]
    recipe = recipe_for(
        more=f'{LOGISTIC}[search]\nmethod = "grid"\nmeasured = 0\nparameters = {{ C = {values} }}'
    )
    result, dataset = search(recipe), load_dataset(recipe)
    oracle = GridSearchCV(LogisticRegression(random_state=0), {"C": values}, cv=FOLDS)
    oracle.fit(dataset.X_train, dataset.y_train)
    scores = {candidate.parameters["C"]: candidate.score for candidate in result.candidates}
    assert scores == dict(zip(values, oracle.cv_results_["mean_test_score"], strict=True))
    assert result.chosen.score == oracle.best_score_
    assert result.scoring == "accuracy"
    assert result.baseline < result.chosen.score


def test_random_candidates_are_in_range_and_score_as_in_sklearn(
    recipe_for: Callable[..., Recipe],
) -> None:
    recipe = recipe_for(
        more='[estimator]\nclass = "sklearn.ensemble.RandomForestClassifier"\n'
        "parameters = { n_estimators = 5 }\n"
        "[validation]\nfolds = 3\nrepeats = 1\n"
        '[search]\nscoring = "neg_log_loss"\ncandidates = 4\nmeasured = 0\n'
        "[search.parameters]\n"
        'ccp_alpha = { low = 0.001, high = 0.1, scale = "log" }\n'
        "max_depth = { low = 1, high = 3, whole = true }\n"
        'criterion = ["gini", "entropy"]'
    )
    result, dataset = search(recipe), load_dataset(recipe)
    assert len(result.candidates) == 4
    assert len({candidate.parameters["ccp_alpha"] for candidate in result.candidates}) == 4
    folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=1, random_state=0)
    for candidate in result.candidates:
        assert 0.001 <= candidate.parameters["ccp_alpha"] <= 0.1
        assert candidate.parameters["max_depth"] in (1, 2, 3)
        forest = RandomForestClassifier(n_estimators=5, random_state=0, **candidate.parameters)
        scores = cross_val_score(
            forest, dataset.X_train, dataset.y_train, cv=folds, scoring="neg_log_loss"
        )
        assert candidate.score == pytest.approx(scores.mean(), rel=1e-12)


def test_halving_selects_the_best_of_its_last_round(recipe_for: Callable[..., Recipe]) -> None:
    recipe = recipe_for(
        more=f"{LOGISTIC}[validation]\nfolds = 2\nrepeats = 1\n"
        '[search]\nmethod = "halving"\ncandidates = 9\nmeasured = 0\n'
        "[search.parameters]\nC = [0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]"
    )
    result, dataset = search(recipe), load_dataset(recipe)
    oracle = HalvingRandomSearchCV(
        LogisticRegression(random_state=0),
        {"C": [0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]},
        n_candidates=9,
        cv=RepeatedStratifiedKFold(n_splits=2, n_repeats=1, random_state=0),
        random_state=0,
        scoring="accuracy",
    ).fit(dataset.X_train, dataset.y_train)
    assert result.chosen.parameters == oracle.best_params_
    assert len(result.candidates) == len(oracle.cv_results_["params"]) > 9


def test_groups_and_time_decide_the_folds(recipe_for: Callable[..., Recipe]) -> None:
    grid = '{}[validation]\nfolds = 4\n[search]\nmethod = "grid"\nmeasured = 0\n'
    grid += "parameters = {{ C = [1.0] }}\n[split]\n{}"
    by_time = recipe_for(more=grid.format(LOGISTIC, 'time = "day"'))
    dataset = load_dataset(by_time)
    estimator = LogisticRegression(random_state=0)
    scores = cross_val_score(estimator, dataset.X_train, dataset.y_train, cv=TimeSeriesSplit(4))
    assert search(by_time).chosen.score == scores.mean()
    by_group = recipe_for(
        task="regression",
        target='"yield"',
        more=grid.format(LOGISTIC, 'groups = "who"')
        .replace("LogisticRegression", "Ridge")
        .replace("C =", "alpha ="),
    )
    dataset = load_dataset(by_group)
    from sklearn.linear_model import Ridge

    scores = cross_val_score(
        Ridge(), dataset.X_train, dataset.y_train, cv=GroupKFold(4), groups=dataset.groups_train
    )
    assert search(by_group).chosen.score == scores.mean()


def test_more_folds_than_groups_are_refused(recipe_for: Callable[..., Recipe]) -> None:
    more = "{}[validation]\nfolds = 30\n[search]\nparameters = {{ C = [1.0] }}\n[split]\n{}"
    with pytest.raises(RecipeError, match="30 folds need as many groups, 15 are left"):
        trained(recipe_for(more=more.format(LOGISTIC, 'groups = "who"')))


class Interrupting(ProgressListener):
    """Presses Ctrl-C after the third candidate."""

    def candidate(self, done: int, total: int | None, score: float, best: float) -> None:
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c_raises")
def test_ctrl_c_keeps_the_best_so_far(recipe_for: Callable[..., Recipe]) -> None:
    recipe = recipe_for(
        more=f'{LOGISTIC}[search]\nmethod = "grid"\nmeasured = 0\n'
        "parameters = { C = [1e-6, 1.0, 1e-5, 10.0, 0.5] }"
    )
    model = trained(recipe, Interrupting())
    assert model.search is not None
    assert model.search.stopped == "interrupted, with 3 candidates tried"
    assert model.search.chosen.parameters == {"C": 1.0}
    assert model.estimator.C == 1.0
    assert model.metrics["accuracy"] > 0.6


def test_a_search_out_of_time_says_how_many_it_tried(recipe_for: Callable[..., Recipe]) -> None:
    recipe = recipe_for(
        more=f'{LOGISTIC}[search]\nmethod = "grid"\nmeasured = 0\nmax_seconds = 1e-9\n'
        "parameters = { C = [1.0, 2.0] }"
    )
    assert search(recipe).stopped == "after 1e-09 s, with 1 of 2 candidates tried"


def test_a_candidate_that_cannot_be_fitted_is_not_selected(
    recipe_for: Callable[..., Recipe],
) -> None:
    more = f'{LOGISTIC}[search]\nmethod = "grid"\nmeasured = 0\nparameters = {{ C = {{}} }}'
    result = search(recipe_for(more=more.replace("{}", "[-1.0, 1.0]")))
    failed = [candidate for candidate in result.candidates if candidate.fault]
    assert [candidate.parameters for candidate in failed] == [{"C": -1.0}]
    assert "must be a float in the range" in failed[0].fault
    with pytest.raises(TrainingError, match=r"no candidate could be fitted: .*must be a float"):
        trained(recipe_for(more=more.replace("{}", "[-1.0]")))


def test_two_processes_give_the_same_scores(recipe_for: Callable[..., Recipe]) -> None:
    from edge_pipeline.training.engines import Engine

    recipe = recipe_for(
        more=f'{LOGISTIC}[search]\nmethod = "grid"\nmeasured = 0\n'
        "parameters = { C = [-1.0, 0.001, 0.1, 1.0, 100.0] }"
    )
    dataset = load_dataset(recipe)
    here = train(recipe, dataset).search
    there = train(recipe, dataset, engine=Engine(jobs=2)).search
    assert here is not None
    assert there is not None
    local_scores, process_scores = (
        [(candidate.number, candidate.score) for candidate in result.candidates]
        for result in (here, there)
    )
    assert str(local_scores) == str(process_scores)


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        ("parameters = { c = [1.0] }", "search.parameters.c", "did you mean 'C'?"),
        ("parameters = { C = [] }", "search", "parameters.C is empty"),
        ("parameters = { C = 1.0 }", "search.parameters.C", "a list of values or"),
        ("parameters = { C = { low = 2 } }", "search.parameters.C", "high"),
        ("parameters = { C = { lo = 2, high = 3 } }", "search.parameters.C", "unknown key 'lo'"),
        ("parameters = { C = { low = 3, high = 2 } }", "search.parameters.C", "below high"),
        ('method = "grid"\nparameters = { C = { low = 1, high = 2 } }', "search", "listed values"),
        ('method = "gird"\nparameters = { C = [1.0] }', "search.method", "did you mean 'grid'?"),
        ("candidates = 3", "search.parameters", "missing"),
        ('scoring = "acc"\nparameters = { C = [1.0] }', "search.scoring", "no scorer"),
        ('prefer = "small"\nmeasured = 0\nparameters = { C = [1.0] }', "search", "above 0"),
    ],
)
def test_an_error_in_the_search_table_is_one_line_with_its_key(
    recipe_for: Callable[..., Recipe], text: str, key: str, part: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        trained(recipe_for(more=f"{LOGISTIC}[search]\n{text}"))
    assert caught.value.key == key
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("top", "more", "key"),
    [
        ('estimator = "auto"', '[search]\nmethod = "grid"', "search.method"),
        ('estimator = "auto"', '[preprocessing]\nnumbers = ["scale"]', "preprocessing"),
        ('estimator = "aut"', "", "estimator.preset"),
        ("", '[estimator]\npreset = "auto"\nclass = "a.B"', "estimator"),
        ("", '[estimator]\npreset = "auto"\nparameters = { C = 1 }', "estimator"),
    ],
)
def test_keys_that_auto_sets_itself_are_refused(
    recipe_for: Callable[..., Recipe], top: str, more: str, key: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_for(top=top, more=more)
    assert caught.value.key == key


def test_auto_tries_every_family_and_beats_the_baseline(recipe_for: Callable[..., Recipe]) -> None:
    result = search(recipe_for(more=f'[estimator]\npreset = "auto"\n{FEW}[search]\nmeasured = 0'))
    families = {candidate.family for candidate in result.candidates}
    assert families == {"linear", "forest", "boosting", "network"}
    assert result.chosen.score > result.baseline + 0.1
    assert result.stopped == ""


def test_small_is_preferred_within_the_score_tolerance(
    recipe_for: Callable[..., Recipe], tmp_path: Path
) -> None:
    forest = '[estimator]\nclass = "sklearn.ensemble.RandomForestRegressor"\n'
    more = (
        f"{forest}[validation]\nrepeats = 1\n"
        '[search]\nmethod = "grid"\nmeasured = 3\nprefer = "{}"\nscore_tolerance = {}\n'
        "parameters = {{ n_estimators = [2, 10, 60] }}"
    )
    options = {"task": "regression", "target": '"yield"'}
    best = search(recipe_for(more=more.format("score", 0.01), **options))
    assert best.chosen.score == max(candidate.score for candidate in best.candidates)
    assert best.chosen.parameters != {"n_estimators": 2}
    assert all(candidate.device.model_bytes > 0 for candidate in best.candidates)
    assert best.chosen in best.front
    report = build(recipe_for(more=more.format("small", 0.9), **options), tmp_path / "m.onnx")
    assert report.search is not None
    assert report.search.chosen.parameters == {"n_estimators": 2}
    assert report.search.chosen.device is not None
    candidates = report.search.candidates
    sizes = {c.number: c.device.model_bytes for c in candidates if c.device is not None}
    assert report.search.chosen.device.model_bytes == min(sizes.values())
    assert report.bundle_bytes < 2 * min(sizes.values())
    search_json = report.to_json()["search"]
    assert search_json["chosen"] == report.search.chosen.number
    assert {candidate["number"] for candidate in search_json["candidates"]} == set(sizes)
    # The smallest candidate is selected when only it keeps a limit, whatever the scores.
    limit = f"\n[limits]\nmax_model_bytes = {min(sizes.values()) + 2000}"
    limited = search(recipe_for(more=more.format("score", 0.01) + limit, **options))
    assert limited.chosen.parameters == {"n_estimators": 2}


def test_a_candidate_that_cannot_be_exported_is_not_selected(
    recipe_for: Callable[..., Recipe],
) -> None:
    # "stratified" draws at random, which no graph can; by this score it is the better strategy.
    recipe = recipe_for(
        more='[estimator]\nclass = "sklearn.dummy.DummyClassifier"\n[search]\nmethod = "grid"\n'
        'scoring = "f1_macro"\nmeasured = 2\nparameters = { strategy = ["stratified", "prior"] }'
    )
    result = search(recipe)
    assert result.candidates[0].parameters == {"strategy": "stratified"}
    assert "random" in result.candidates[0].fault
    assert result.chosen.parameters == {"strategy": "prior"}
    assert result.front == (result.chosen,)


def test_the_pareto_front_has_no_dominated_candidate() -> None:
    def with_figures(number: int, score: float, size: int, latency: float) -> Candidate:
        figures = DeviceFigures(size, latency, latency, 60.0)
        return Candidate(number, "f", {}, score, 0.0, 0.0, figures)

    best, small, fast = (
        with_figures(0, 0.9, 900, 9.0),
        with_figures(1, 0.5, 100, 9.0),
        with_figures(2, 0.5, 900, 1.0),
    )
    dominated, twin = with_figures(3, 0.5, 900, 9.0), with_figures(4, 0.9, 900, 9.0)
    unmeasured = Candidate(5, "f", {}, 0.99, 0.0, 0.0)
    front = pareto_front([best, small, fast, dominated, twin, unmeasured])
    assert front == (best, small, fast, twin)


def test_the_same_seed_gives_the_same_bytes(
    recipe_for: Callable[..., Recipe], tmp_path: Path
) -> None:
    families = 'families = ["linear", "network"]'
    more = f'[estimator]\npreset = "auto"\n{families}\n{FEW}[search]\nmeasured = 1'
    recipe = recipe_for(more=more)
    first = build(recipe, tmp_path / "a.onnx").path.read_bytes()
    assert build(recipe, tmp_path / "b.onnx").path.read_bytes() == first


def test_auto_handles_several_targets(recipe_for: Callable[..., Recipe], tmp_path: Path) -> None:
    top = '[estimator]\npreset = "auto"\nfamilies = ["linear"]\n[search]\nmeasured = 1'
    report = build(recipe_for(target='["deep", "steep"]', more=top), tmp_path / "a.onnx")
    assert report.manifest.metrics["f1_macro"] > 0.9
    options = {"task": "regression", "target": '["yield", "deep"]'}
    columns = recipe_for(more=top, **options)
    assert build(columns, tmp_path / "b.onnx").manifest.metrics["r2"] > 0.2


def test_a_search_of_parameters_uses_all_training_rows(recipe_for: Callable[..., Recipe]) -> None:
    recipe = recipe_for(more=f"{LOGISTIC}[search]\nparameters = {{ C = [1.0] }}\nmeasured = 0")
    dataset = load_dataset(recipe)
    result = search_parameters(recipe, dataset, LogisticRegression(), ProgressListener(), LOCAL)
    assert result.rows == len(dataset.X_train)
