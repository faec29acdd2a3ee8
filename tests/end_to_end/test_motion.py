"""The motion example: built by one command, followed as a stream without the build machine."""

import csv
import subprocess
import sys
from pathlib import Path

import edge_pipeline
import numpy as np
import pytest

import edge_runtime

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "examples/motion/recorded.csv"
STATES = ["still", "walking", "running", "shaking"]

pytestmark = pytest.mark.xdist_group("motion")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "motion.onnx"
    edge_pipeline.export_function(f"{ROOT / 'models/motion/train.py'}:motion", path)
    return path


def test_the_example_follows_the_states_of_the_recording(model_file: Path) -> None:
    script = ROOT / "examples/motion/follow.py"
    call = [sys.executable, script, model_file, RECORDED]
    process = subprocess.run(call, capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in process.stdout.splitlines()] == STATES
    assert "real-time factor" in process.stderr


def test_chunks_cut_at_random_are_answered_as_one_piece(model_file: Path) -> None:
    with RECORDED.open(newline="", encoding="utf-8") as file:
        samples = np.array([[float(cell) for cell in row.values()] for row in csv.DictReader(file)])
    model = edge_runtime.load(model_file)
    expected = edge_runtime.Stream(model).push(samples)
    stream = edge_runtime.Stream(model)
    cuts = np.sort(np.random.default_rng(0).integers(0, len(samples), size=40))
    assert [a for chunk in np.split(samples, cuts) for a in stream.push(chunk)] == expected
    assert len(model.manifest.to_bytes()) < 20_000


def test_the_script_writes_the_recording_and_scores_unseen_persons(tmp_path: Path) -> None:
    script = ROOT / "models/motion/train.py"
    subprocess.run([sys.executable, script, tmp_path / "again.csv"], check=True)
    again, expected = ((path).read_text() for path in (tmp_path / "again.csv", RECORDED))
    header, expected_header = again.partition("\n")[0], expected.partition("\n")[0]
    assert header == expected_header
    # The last digit may hang on the rounding of a sine.
    np.testing.assert_allclose(_numbers(again), _numbers(expected), atol=2e-4)
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == (
        "accuracy on 384 windows of 8 unseen persons: 1.000"
    )  # as models/motion/README.md says


def _numbers(text: str) -> np.ndarray:
    lines = text.splitlines()[1:]
    return np.array([[float(cell) for cell in line.split(",")] for line in lines])
