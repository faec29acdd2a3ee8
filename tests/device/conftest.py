"""Healthy bundles; a test spoils one part of them.  Needs numpy and pytest; onnxruntime is tested
where it is installed.
"""

import importlib.util
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from device import models
from device.models import Parts
from edge_runtime.cli.main import main

import edge_runtime

EMULATED = "EDGE_EMULATED" in os.environ
"""Whether `make pi` runs this: real ARM instructions, but QEMU's speed and QEMU's system calls."""

collect_ignore: list[str] = []
if importlib.util.find_spec("onnxruntime") is None:  # these test onnxruntime itself
    collect_ignore += [
        "bundle/test_manifest_limits.py",
        "cli/test_doctor.py",
        "engine/test_prune_outputs.py",
        "test_lifecycle.py",
        "test_loading.py",
        "test_memory.py",
        "test_onnxruntime_versions.py",
        "test_runtime_check.py",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker("native")
        if EMULATED and marker:
            item.add_marker(pytest.mark.skip(reason=f"emulated: {marker.args[0]}"))


@pytest.fixture(scope="session")
def patience() -> int:
    """How many times longer than on a machine of one's own anything may take."""
    return 20 if EMULATED else 1


@pytest.fixture(scope="session")
def parts() -> Parts:
    return models.classifier()


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
    path.write_bytes(models.mixed().sealed())
    return path


@pytest.fixture(scope="session")
def classifier(healthy_bundle: bytes) -> Iterator[edge_runtime.Model]:
    with edge_runtime.load(healthy_bundle) as model:
        yield model


@pytest.fixture(scope="session")
def mixed() -> Iterator[edge_runtime.Model]:
    with edge_runtime.load(models.mixed().sealed()) as model:
        yield model


@pytest.fixture(scope="session")
def text_model() -> Iterator[edge_runtime.Model]:
    with edge_runtime.load(models.text().sealed()) as model:
        yield model


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; give its exit code, stdout and stderr."""

    def call(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call
