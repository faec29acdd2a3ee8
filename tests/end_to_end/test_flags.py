"""Rows far outside training: predicted as scikit-learn predicts them, and flagged rightly."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from end_to_end.conftest import Built, build

PENGUIN = {
    "island": "Dream",
    "bill_length_mm": 45.0,
    "bill_depth_mm": 17.0,
    "flipper_length_mm": 200.0,
    "body_mass_g": 4200.0,
    "sex": "male",
}
CAR = {
    "manufacturer": "audi",
    "displ": 2.0,
    "year": 1999,
    "cyl": 4,
    "trans": "auto(l5)",
    "drv": "f",
    "fl": "p",
    "class": "compact",
}


@pytest.fixture(scope="session")
def fuel(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build("fuel", tmp_path_factory.mktemp("fuel"))


def assert_predicted_alike(built_model: Built, row: dict[str, Any]) -> tuple[Any, ...]:
    """Compare every method with scikit-learn; return the flags."""
    oracle, model = built_model.fitted.estimator, built_model.model
    X = pd.DataFrame([row]).astype({c.name: float for c in model.schema.columns if c.is_number})
    X = X.where(X.notna(), np.nan)
    expected = oracle.predict(X)
    prediction, flags = model.predict_one_with_flags(row)
    for method in model.methods:
        with np.errstate(divide="ignore"):  # scikit-learn takes the logarithm of 0
            outputs, oracle_outputs = getattr(model, method)(X), getattr(oracle, method)(X)
        if np.asarray(oracle_outputs).dtype.kind == "f":
            np.testing.assert_allclose(outputs, oracle_outputs, rtol=1e-9, atol=1e-12)
        else:
            assert list(outputs) == list(oracle_outputs)
    is_number = np.asarray(expected).dtype.kind == "f"
    assert prediction == (pytest.approx(expected[0], rel=1e-9) if is_number else expected[0])
    assert model.check_rows(X) == [flags]
    return tuple((flag.column, flag.kind) for flag in flags)


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ()),
        ({"island": "Atlantis"}, (("island", "unseen_category"),)),
        ({"bill_length_mm": 400.0}, (("bill_length_mm", "above_range"),)),
        ({"body_mass_g": 1e300}, (("body_mass_g", "above_range"),)),
        (
            {"body_mass_g": -5.0, "sex": "?"},
            (("body_mass_g", "below_range"), ("sex", "unseen_category")),
        ),
    ],
)
def test_a_strange_penguin_is_predicted_and_flagged(
    penguins: Built, changes: dict[str, Any], flags: Any
) -> None:
    assert assert_predicted_alike(penguins, {**PENGUIN, **changes}) == flags


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ()),
        ({"manufacturer": "Toaster"}, (("manufacturer", "unseen_category"),)),
        ({"displ": 400.0, "year": 2050}, (("displ", "above_range"), ("year", "above_range"))),
        ({"displ": 1e300}, (("displ", "above_range"),)),
        ({"cyl": 7}, ()),
    ],
)
def test_a_strange_car_is_predicted_and_flagged(
    fuel: Built, changes: dict[str, Any], flags: Any
) -> None:
    assert assert_predicted_alike(fuel, {**CAR, **changes}) == flags


@pytest.mark.parametrize("name", ["penguins", "fuel"])
def test_a_row_without_any_value_is_predicted_and_flagged(
    request: pytest.FixtureRequest, name: str
) -> None:
    built_model: Built = request.getfixturevalue(name)
    columns = built_model.model.schema.columns
    flags = assert_predicted_alike(built_model, {column.name: None for column in columns})
    assert flags == tuple(
        (column.name, "missing_value") for column in columns if not column.missing_in_training
    )
    assert flags


def test_the_amount_says_how_far(penguins: Built) -> None:
    (flag,) = penguins.model.check_rows([{**PENGUIN, "bill_length_mm": 400.0}])[0]
    column = penguins.model.schema.columns[penguins.model.schema.names.index("bill_length_mm")]
    assert flag.amount == 400.0 - column.maximum
    assert flag.spans == flag.amount / (column.maximum - column.minimum)
