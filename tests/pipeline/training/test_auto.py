"""``estimator = "auto"``: tasks without a target, texts, and how a candidate is selected."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from edge_pipeline.build_from_recipe import build
from edge_pipeline.data.dataset import load_dataset
from edge_pipeline.data.recipe import read_recipe
from edge_pipeline.training.fit import train
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@pytest.mark.slow
@pytest.mark.parametrize("task", ["clustering", "anomaly", "transform"])
def test_auto_needs_no_target_where_nothing_is_predicted(tmp_path: Path, task: str) -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0], [9, 0, 9], [0, 9, 4]])
    X = np.vstack([centre + rng.normal(scale=0.3, size=(30, 3)) for centre in centres])
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    text = f'name = "t"\ntask = "{task}"\nestimator = "auto"\n[data]\nfile = "t.csv"\n'
    (tmp_path / "recipe.toml").write_text(text)
    report = build(tmp_path, tmp_path / "t.onnx")
    assert report.manifest.task == task
    if task == "clustering":
        assert report.search is not None
        assert report.search.chosen.parameters == {"n_clusters": 3}


@pytest.mark.slow
def test_texts_are_searched_with_tf_idf(tmp_path: Path) -> None:
    (tmp_path / "rows.py").write_text(
        "def make():\n"
        "    good = [f'a fine and sunny day {i}' for i in range(30)]\n"
        "    bad = [f'rain again and cold wind {i}' for i in range(30)]\n"
        "    return good + bad, ['good'] * 30 + ['bad'] * 30\n"
    )
    (tmp_path / "recipe.toml").write_text(
        'name = "t"\ntask = "classification"\nestimator = "auto"\n'
        '[data]\nfunction = "rows:make"\n[search]\nmeasured = 1\n'
    )
    report = build(tmp_path, tmp_path / "t.onnx")
    assert report.manifest.metrics["accuracy"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("curved", "family"), [(False, "linear"), (True, "forest")])
def test_a_linear_model_wins_unless_another_is_clearly_better(
    tmp_path: Path, curved: bool, family: str
) -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(240, 2)), columns=["a", "b"])
    signal = frame.a * frame.b if curved else frame.a + frame.b
    frame["y"] = np.where(signal + rng.normal(scale=0.4, size=240) > 0, "u", "v")
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "recipe.toml").write_text(
        'name = "t"\ntask = "classification"\n[data]\nfile = "t.csv"\ntarget = "y"\n'
        '[estimator]\npreset = "auto"\nfamilies = ["linear", "forest"]\n'
        "[validation]\nfolds = 3\nrepeats = 1\n[search]\nmeasured = 0\n"
    )
    recipe = read_recipe(tmp_path)
    search = train(recipe, load_dataset(recipe)).search
    assert search is not None
    assert search.chosen.family == family
    best = max(candidate.score for candidate in search.candidates)
    assert search.chosen.score >= best - search.chosen.spread


@pytest.mark.slow
def test_the_log_loss_decides_between_equal_accuracies(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": np.concatenate([rng.normal(-4, 1, 60), rng.normal(4, 1, 60)])})
    frame["y"] = np.repeat(["u", "v"], 60)
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "recipe.toml").write_text(
        'name = "t"\ntask = "classification"\n[data]\nfile = "t.csv"\ntarget = "y"\n'
        '[estimator]\npreset = "auto"\nfamilies = ["linear"]\n[search]\nmeasured = 0\n'
    )
    recipe = read_recipe(tmp_path)
    dataset = load_dataset(recipe)
    search = train(recipe, dataset).search
    assert search is not None
    assert {candidate.score for candidate in search.candidates} == {1.0}
    losses = {
        candidate.parameters["C"]: cross_val_score(
            make_pipeline(StandardScaler(), LogisticRegression(C=candidate.parameters["C"])),
            dataset.X_train,
            dataset.y_train,
            cv=RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0),
            scoring="neg_log_loss",
        ).mean()
        for candidate in search.candidates
    }
    assert search.chosen.parameters["C"] == max(losses, key=losses.__getitem__) != 1.0
