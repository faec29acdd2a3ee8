"""Every model of models/, built_model once, beside the estimator that it must equal."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import edge_pipeline
import pytest

import edge_runtime

ROOT = Path(__file__).resolve().parents[2]
MODELS = sorted(path.parent.name for path in ROOT.glob("models/*/recipe.toml"))


@dataclass(frozen=True)
class Built:
    """One model: the sealed file, and scikit-learn's estimator trained from the same recipe."""

    name: str
    path: Path

    @cached_property
    def fitted(self) -> Any:
        recipe = edge_pipeline.read_recipe(ROOT / "models" / self.name)
        return edge_pipeline.train(recipe, edge_pipeline.load_dataset(recipe))

    @cached_property
    def model(self) -> Any:
        return edge_runtime.load(self.path)


def build(name: str, folder: Path) -> Built:
    path = folder / f"{name}.onnx"
    edge_pipeline.build(ROOT / "models" / name, output=path)
    return Built(name, path)


# A group a model keeps its tests on one worker, so that it is trained there and nowhere else.
@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in MODELS],
)
def built_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build("penguins", tmp_path_factory.mktemp("penguins"))
