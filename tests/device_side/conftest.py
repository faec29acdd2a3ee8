"""Healthy bundles; a test spoils one part of them.  Needs numpy, onnxruntime and pytest alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from device_side import device_models
from device_side.device_models import Parts

import edge_runtime


@pytest.fixture(scope="session")
def parts() -> Parts:
    return device_models.classifier()


@pytest.fixture(scope="session")
def healthy_bundle(parts: Parts) -> bytes:
    return parts.sealed()


@pytest.fixture
def bundle_file(healthy_bundle: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(healthy_bundle)
    return path


@pytest.fixture
def mixed_file(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.onnx"
    path.write_bytes(device_models.mixed().sealed())
    return path


@pytest.fixture(scope="session")
def classifier(healthy_bundle: bytes) -> Iterator[edge_runtime.Model]:
    with edge_runtime.load(healthy_bundle) as model:
        yield model


@pytest.fixture(scope="session")
def mixed() -> Iterator[edge_runtime.Model]:
    with edge_runtime.load(device_models.mixed().sealed()) as model:
        yield model


@pytest.fixture(scope="session")
def text_model() -> Iterator[edge_runtime.Model]:
    with edge_runtime.load(device_models.text().sealed()) as model:
        yield model
