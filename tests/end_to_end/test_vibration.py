"""The sensor example: its table, its recording, its sensor, and what it prints."""

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from end_to_end.conftest import build

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/vibration"
STATES = ["ok", "unbalance", "bearing"]

pytestmark = pytest.mark.xdist_group("vibration")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("vibration", tmp_path_factory.mktemp("vibration")).path


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    spec = importlib.util.spec_from_file_location("watch", EXAMPLE / "watch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, EXAMPLE / "watch.py", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, check=False, timeout=120)


def test_the_recording_is_answered_with_its_three_states(model_file: Path) -> None:
    done = run(model_file, "--recorded", EXAMPLE / "recorded.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1] for line in done.stdout.splitlines()] == STATES


def test_the_script_draws_the_table_and_the_recording_that_are_stored(tmp_path: Path) -> None:
    script = ROOT / "models/vibration/simulate.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    for stored in (ROOT / "models/vibration/vibration.csv", EXAMPLE / "recorded.csv"):
        found, expected = table(tmp_path / stored.name), table(stored)
        assert found[0] == expected[0]
        assert len(found) == len(expected)
        for one, other in zip(found[1:], expected[1:], strict=True):
            # The last digit that is stored hangs on a Fourier transform's rounding.
            assert [number(cell) for cell in one] == [
                pytest.approx(number(cell), rel=2e-4, abs=2e-4) if isinstance(number(cell), float)
                else cell
                for cell in other
            ]  # fmt: skip


def table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def number(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


class Chip:
    """An ADXL345 as its data sheet tells it: a FIFO of 32 samples behind registers."""

    def __init__(self, z_steps: list[int], *, device_id: int = 0xE5) -> None:
        self.registers = {0x00: device_id}
        self.waiting = list(z_steps)

    def read_byte_data(self, address: int, register: int) -> int:
        assert address == 0x53
        if register == 0x39:
            measuring = self.registers.get(0x2D, 0) & 8
            return min(len(self.waiting), 32) if measuring else 0
        return self.registers[register]

    def write_byte_data(self, address: int, register: int, value: int) -> None:
        self.registers[register] = value

    def read_i2c_block_data(self, address: int, register: int, length: int) -> list[int]:
        assert (register, length) == (0x32, 6)
        return [0, 0, 0, 0, *self.waiting.pop(0).to_bytes(2, "little", signed=True)]


def test_the_sensor_gives_its_samples_in_g_in_order_and_without_a_gap(watch: ModuleType) -> None:
    steps = np.random.default_rng(0).integers(-4096, 4096, 2 * watch.WINDOW).tolist()
    sensor = watch.Adxl345(Chip(steps))
    both = np.concatenate([sensor.window(), sensor.window()])
    np.testing.assert_allclose(both, np.array(steps) * 0.0039)


def test_another_chip_and_a_silent_one_are_told(watch: ModuleType) -> None:
    with pytest.raises(OSError, match="expected an ADXL345"):
        watch.Adxl345(Chip([], device_id=0x33))
    with pytest.raises(OSError, match="no samples"):
        watch.Adxl345(Chip([1, 2, 3])).window()


def test_a_dead_sensor_is_no_vibration(watch: ModuleType) -> None:
    with pytest.raises(ValueError, match="same number all the time"):
        watch.features(np.full(watch.WINDOW, 0.98), 1480)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--recorded", "absent.csv"], "No such file"),
        (["--bus", "1"], "pip install smbus2"),
        (["--recorded", EXAMPLE / "recorded.csv", "--lamp", "17"], "pip install gpiozero"),
    ],
)
def test_what_is_missing_is_told_in_one_line(
    model_file: Path, arguments: list[Any], words: str
) -> None:
    if importlib.util.find_spec("smbus2") or importlib.util.find_spec("gpiozero"):
        pytest.skip("this machine has the libraries of a board")
    done = run(model_file, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
