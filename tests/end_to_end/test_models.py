"""Each model of models/, from its recipe to the device's answers; scikit-learn is the oracle."""

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from edge_runtime.bundle.schema import MISSING_STRING

import edge_runtime

# Both sides compute in float64; what is left is the order of a sum's terms.
TOLERANCE = 1e-9


def unseen_rows(built_model: Any) -> Any:
    """Rows kept from training, then the same with gaps and with categories nobody has seen.

    A gap is NaN, as pandas reads it: scikit-learn takes None for one more category.
    """
    X = (
        built_model.fitted.X_test
        if built_model.fitted.X_test is not None
        else built_model.fitted.X_train
    )
    if not isinstance(X, pd.DataFrame):
        return X
    spoilt = X.copy()
    for position, column in enumerate(built_model.model.schema.columns):
        if column.type == "string":
            spoilt.iloc[1::4, position] = "never seen before"
        if column.missing:
            spoilt.iloc[position % 3 :: 3, position] = np.nan
    return pd.concat([X, spoilt], ignore_index=True)


def assert_same(answer: Any, expected: Any) -> None:
    """Shape, kind of dtype, every label, and numbers within TOLERANCE."""
    answer, expected = np.asarray(answer), np.asarray(expected)
    assert answer.shape == expected.shape
    assert answer.dtype.kind == expected.dtype.kind
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(answer, expected, rtol=TOLERANCE, atol=TOLERANCE)
    else:
        assert answer.tolist() == expected.tolist()


def graph_inputs(schema: Any, rows: Any) -> dict[str, Any]:
    """The two blocks, made without edge_runtime's border: docs/bundle-format.md."""
    cells = [list(row) for row in rows]
    numbers = [
        [float("nan") if row[i] is None else row[i] for i in schema.numeric] for row in cells
    ]
    strings = [
        [MISSING_STRING if row[i] is None else row[i] for i in schema.textual] for row in cells
    ]
    blocks = {}
    if schema.numeric:
        blocks["numbers"] = np.array(numbers, dtype=np.float64)
    if schema.textual:
        blocks["strings"] = np.array(strings, dtype=object)
    return blocks


def test_the_four_models_of_the_readme_are_there(root: Path) -> None:
    names = {path.parent.name for path in root.glob("models/*/recipe.toml")}
    assert {"linear", "penguins", "digits"} <= names
    assert len(names) >= 4


@pytest.mark.slow
def test_the_file_passes_the_onnx_checker(built_model: Any) -> None:
    onnx.checker.check_model(built_model.path.read_bytes(), full_check=True)


def test_a_bare_session_opens_the_whole_file_and_answers_alike(built_model: Any) -> None:
    session = onnxruntime.InferenceSession(built_model.path, providers=["CPUExecutionProvider"])
    assert {item.name for item in session.get_inputs()} <= {"numbers", "strings"}
    rows = [
        [float(cell) if cell in ("nan", "inf", "-inf") else cell for cell in row]
        for row in built_model.model.manifest.golden.rows
    ]
    answers = session.run(["predict"], graph_inputs(built_model.model.schema, rows))[0]
    dict_rows = [dict(zip(built_model.model.schema.names, row, strict=True)) for row in rows]
    assert answers.tolist() == built_model.model.predict(dict_rows).tolist()


def test_every_method_answers_as_scikit_learn_on_unseen_rows(built_model: Any) -> None:
    X = unseen_rows(built_model)
    methods = {output.method for output in built_model.model.manifest.outputs}
    assert "predict" in methods
    for method in sorted(methods):
        assert_same(
            getattr(built_model.model, method)(X), getattr(built_model.fitted.estimator, method)(X)
        )


def test_one_row_at_a_time_answers_as_scikit_learn(built_model: Any) -> None:
    X = unseen_rows(built_model)
    rows = X.to_dict("records") if isinstance(X, pd.DataFrame) else list(X)
    expected = built_model.fitted.estimator.predict(X)
    picked = list(range(0, len(rows), 7))
    answers = [built_model.model.predict_one(rows[i]) for i in picked]
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(answers, expected[picked], rtol=TOLERANCE, atol=TOLERANCE)
    else:
        assert answers == expected[picked].tolist()


def test_every_method_of_the_estimator_exists_on_the_device(built_model: Any) -> None:
    had = {
        name
        for name in ("predict", "predict_proba", "decision_function", "score_samples", "transform")
        if hasattr(built_model.fitted.estimator, name)
    }
    assert {output.method for output in built_model.model.manifest.outputs} == had


@pytest.mark.slow
def test_built_twice_the_same_bytes(built_model: Any, tmp_path: Path, root: Path) -> None:
    again = tmp_path / "again.onnx"
    edge_pipeline.build(root / "models" / built_model.name, output=again)
    assert again.read_bytes() == built_model.path.read_bytes()


def test_the_parity_report_in_the_file_says_that_no_label_differed(built_model: Any) -> None:
    evidence = built_model.model.manifest.parity.outputs
    assert set(evidence) == {output.name for output in built_model.model.manifest.outputs}
    assert all(item.rows > 0 and item.differing == 0 for item in evidence.values())
    assert all(
        item.worst <= built_model.model.manifest.parity.tolerance for item in evidence.values()
    )


@pytest.mark.xdist_group("linear")
def test_the_line_through_1_to_5_goes_on_to_6_7_8(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "linear.onnx"
    edge_pipeline.build(root / "models/linear", output=path)
    with edge_runtime.load(path) as model:
        (name,) = model.schema.names
        answers = model.predict({name: [6.0, 7.0, 8.0]})
    np.testing.assert_allclose(answers, [12.0, 14.0, 16.0], rtol=TOLERANCE)


@pytest.mark.xdist_group("digits")
def test_the_loss_of_the_digits_falls_while_it_learns(root: Path) -> None:
    recipe = edge_pipeline.read_recipe(root / "models/digits")
    curve = edge_pipeline.train(recipe, edge_pipeline.load_dataset(recipe)).loss_curve
    assert len(curve) >= 5
    assert curve[-1] < curve[0] / 5
