"""Build the sealed file that the promises are tested on."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Build the penguins once for each worker."""
    import edge_pipeline

    path = tmp_path_factory.mktemp("bundle") / "penguins.onnx"
    edge_pipeline.build(root / "models/penguins/recipe.toml", output=path)
    return path
