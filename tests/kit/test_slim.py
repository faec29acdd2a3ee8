"""A slim wheel lacks the listed files alone, and predicts as the full one does."""

import base64
import csv
import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import edge_pipeline
import kits
import pytest
from edge_pipeline.errors import KitError
from edge_pipeline.packaging.kit.archive import read_kit
from edge_pipeline.packaging.kit.slim_wheels import PRUNED, prune_wheel
from edge_pipeline.packaging.kit.wheels import Member, Wheel, write_wheel

from .conftest import X86_64

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kit")]


@pytest.fixture(scope="session")
def pairs(
    slim: edge_pipeline.Kit, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Wheel, Wheel]]:
    """Full and slim wheel of numpy and onnxruntime."""
    folder = tmp_path_factory.mktemp("slim")
    for name, raw in read_kit(slim.path).parts.items():
        if name.startswith("wheels/"):
            (folder / Path(name).name).write_bytes(raw)
    full = kits.wheels_for("x86_64", kits.HERE)
    return {
        name: (Wheel(next(full.glob(f"{name}-*.whl"))), Wheel(next(folder.glob(f"{name}-*.whl"))))
        for name in PRUNED
    }


def files_of(wheel: Wheel) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel.path) as archive:
        assert archive.testzip() is None
        return {n: archive.read(n) for n in archive.namelist() if not n.endswith("/")}


@pytest.mark.parametrize("name", PRUNED)
def test_a_slim_wheel_lacks_the_listed_files_alone(
    pairs: dict[str, tuple[Wheel, Wheel]], name: str
) -> None:
    """All other files are equal to those of the full wheel."""
    full, slim = map(files_of, pairs[name])
    removed = {path for path in full.keys() - slim.keys() if ".dist-info/" not in path}
    listed = PRUNED[name].removed
    assert removed
    assert [p for p in removed if not any(fnmatchcase(p, pattern) for pattern in listed)] == []
    assert removed.isdisjoint(PRUNED[name].exceptions)
    assert set(PRUNED[name].exceptions) <= slim.keys()
    unchanged = [path for path in slim if ".dist-info/" not in path]
    assert [path for path in unchanged if slim[path] != full[path]] == []


@pytest.mark.parametrize("name", PRUNED)
def test_the_record_of_a_slim_wheel_is_right(
    pairs: dict[str, tuple[Wheel, Wheel]], name: str
) -> None:
    _, slim = pairs[name]
    files = files_of(slim)
    record = next(path for path in files if path.endswith(".dist-info/RECORD"))
    rows = list(csv.reader(io.StringIO(files[record].decode())))
    assert sorted(row[0] for row in rows) == sorted(files)
    for path, digest, size in rows:
        if path != record:
            file_digest = base64.urlsafe_b64encode(hashlib.sha256(files[path]).digest())
            assert (digest, size) == (
                f"sha256={file_digest.decode().rstrip('=')}",
                str(len(files[path])),
            )


@pytest.mark.parametrize("name", PRUNED)
def test_a_slim_wheel_has_a_version_label_and_every_licence(
    pairs: dict[str, tuple[Wheel, Wheel]], name: str
) -> None:
    full, slim = pairs[name]
    assert slim.version == f"{full.version}+slim"
    assert slim.metadata["Version"] == slim.version
    assert sorted(slim.licence_files().values()) == sorted(full.licence_files().values())
    assert slim.licence == full.licence
    assert {r.name for r in slim.requirements}.isdisjoint(PRUNED[name].unused_requirements)


def test_a_wheel_that_is_built_otherwise_is_not_pruned_blindly(tmp_path: Path) -> None:
    info = "onnxruntime-9.9.9.dist-info"
    members = {
        "onnxruntime/__init__.py": Member(b""),
        f"{info}/METADATA": Member(b"Name: onnxruntime\nVersion: 9.9.9\n\n"),
        f"{info}/WHEEL": Member(b"Wheel-Version: 1.0\n"),
    }
    wheel = write_wheel(tmp_path / "onnxruntime-9.9.9-py3-none-any.whl", members)
    (tmp_path / "slim").mkdir()
    with pytest.raises(KitError, match="make the kit without --slim"):
        prune_wheel(wheel, tmp_path / "slim")
    assert list((tmp_path / "slim").iterdir()) == []


def test_a_slim_kit_for_a_board_installs_at_most_80_mb(
    make: Callable[..., edge_pipeline.Kit], board_kit: edge_pipeline.Kit
) -> None:
    small = make(platform=None, board="4", python="3.11", slim=True)
    assert small.full_bytes == board_kit.installed_bytes
    assert set(small.left_out) == {"flatbuffers", "packaging", "protobuf"}
    assert small.installed_bytes < 80e6 < board_kit.installed_bytes


ANSWERS = """
import json, sys
import edge_runtime
from edge_runtime.bundle.manifest import cell_from_json
for path in sys.argv[1:]:
    with edge_runtime.load(path) as model:
        rows = [
            dict(zip(model.schema.names, map(cell_from_json, row)))
            for row in model.manifest.golden.rows
        ]
        for output in model.manifest.outputs:
            print(json.dumps(getattr(model, output.method)(rows).tolist()))
"""


@X86_64
def test_slim_and_full_answer_the_golden_rows_bit_for_bit(
    installed: Path, line_file: Path, root: Path, tmp_path: Path
) -> None:
    edge_pipeline.build(root / "models/penguins", output=tmp_path / "penguins.onnx")
    outputs = [
        subprocess.run(
            [python, "-c", ANSWERS, line_file, tmp_path / "penguins.onnx"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for python in (sys.executable, installed / "runtime/bin/python")
    ]
    assert outputs[0] == outputs[1]
    assert len([json.loads(line) for line in outputs[0].splitlines()]) >= 4


@X86_64
def test_the_device_passes_its_tests_of_models_on_a_slim_runtime(
    installed: Path, root: Path, tmp_path: Path
) -> None:
    """`make slim` runs all of tests/device."""
    borrow = ["pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments"]
    for name in borrow:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            module = Path(spec.origin)
            module = module.parent if module.name == "__init__.py" else module
            (tmp_path / module.name).symlink_to(module)
    command = [installed / "runtime/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    process = subprocess.run(
        [
            *command,
            "tests/device/test_model.py",
            "tests/device/inputs/test_tables.py",
            "tests/device/inputs/test_cells.py",
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-2000:]
    assert " passed" in process.stdout
