"""Watch a pump: measure its vibration each second, predict its state, light a lamp at a fault.

    python watch.py vibration.onnx --recorded recorded.csv          # anywhere
    python watch.py vibration.onnx --rpm 1480 --lamp 17             # on a board, with an ADXL345

Needs edge-runtime; on the board also smbus2 for the sensor, and gpiozero for a lamp.  The sensor is
wired to the I2C pins 3 and 5, the lamp to the GPIO pin given by --lamp.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from features import RATE_HZ, WINDOW, features
from numpy.typing import NDArray

import edge_runtime

Window = tuple[NDArray[np.float64], float]
"""Acceleration in g, and the speed in turns a minute."""


def main() -> int:
    """Print a line for each window; return 1 after an error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="the sealed file")
    parser.add_argument("--recorded", type=Path, help="a CSV file of rpm and g, no sensor")
    parser.add_argument("--rpm", type=float, default=1480.0, help="speed of the shaft (1480)")
    parser.add_argument("--bus", type=int, default=1, help="of the sensor (1)")
    parser.add_argument("--lamp", type=int, help="GPIO pin of a lamp that lights at a fault")
    parser.add_argument("--windows", type=int, help="stop after so many")
    options = parser.parse_args()
    try:
        windows = (
            recorded_windows(options.recorded)
            if options.recorded
            else sensor_windows(options.bus, options.rpm)
        )
        show = lamp(options.lamp) if options.lamp is not None else lambda lit: None
        with edge_runtime.load(options.model) as model:
            watch(model, windows, show, options.windows)
    except (edge_runtime.EdgeRuntimeError, OSError, ValueError, ImportError) as error:
        print(f"watch: {error}", file=sys.stderr)
        return 1
    return 0


def watch(
    model: edge_runtime.Model,
    windows: Iterator[Window],
    show: Callable[[bool], None],
    at_most: int | None = None,
) -> None:
    """Predict the state of every window, print it, and show whether it is a fault."""
    for number, (g, rpm) in enumerate(windows, 1):
        state, probabilities = model.predict_proba_one(features(g, rpm))
        print(f"{number:4d}  {state:<10} {probabilities[state]:4.0%}", flush=True)
        show(state != "ok")
        if number == at_most:
            return


def recorded_windows(path: Path) -> Iterator[Window]:
    """Yield the whole windows of a CSV file with the columns rpm and g."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(float(row["g"]), float(row["rpm"])) for row in csv.DictReader(file)]
    for start in range(0, len(rows) - WINDOW + 1, WINDOW):
        part = rows[start : start + WINDOW]
        yield np.array([g for g, _ in part]), part[0][1]


def sensor_windows(bus: int, rpm: float) -> Iterator[Window]:
    """Yield window after window of the sensor on an I2C bus."""
    try:
        from smbus2 import SMBus
    except ImportError as error:
        raise ImportError("no smbus2: pip install smbus2, or try --recorded FILE") from error
    with SMBus(bus) as i2c:
        sensor = Adxl345(i2c)
        while True:
            yield sensor.window(), rpm


class Adxl345:
    """The acceleration sensor of Analog Devices, along its z axis; registers as in its data sheet.

    Parameters
    ----------
    bus
        An open smbus2.SMBus, or an object with its three methods.
    """

    ADDRESS = 0x53
    G_A_STEP = 0.0039
    _DEVICE_ID, _IS_ADXL345 = 0x00, 0xE5
    _RATE, _800_HZ = 0x2C, 0x0D
    _POWER, _MEASURE = 0x2D, 0x08
    _FORMAT, _FULL_16_G = 0x31, 0x0B
    _Z = 0x36
    _FIFO, _STREAM = 0x38, 0x80
    _FIFO_STATUS, _ENTRIES = 0x39, 0x3F

    def __init__(self, bus: Any) -> None:
        device_id = bus.read_byte_data(self.ADDRESS, self._DEVICE_ID)
        if device_id != self._IS_ADXL345:
            raise OSError(
                f"expected an ADXL345 (0xe5) at 0x53, found {device_id:#x}; check the wires"
            )
        self._bus = bus
        for register, value in (
            (self._RATE, self._800_HZ),
            (self._FORMAT, self._FULL_16_G),
            (self._FIFO, self._STREAM),
            (self._POWER, self._MEASURE),
        ):
            bus.write_byte_data(self.ADDRESS, register, value)

    def window(self) -> NDArray[np.float64]:
        """Wait for the next WINDOW samples, and return them in g.

        Raises
        ------
        OSError
            No sample came for a second.
        """
        steps: list[int] = []
        last = time.monotonic()
        while len(steps) < WINDOW:
            n_ready = self._bus.read_byte_data(self.ADDRESS, self._FIFO_STATUS) & self._ENTRIES
            for _ in range(min(n_ready, WINDOW - len(steps))):
                # X, Y and Z must be read at once, or the FIFO gives half of one sample.
                raw = bytes(self._bus.read_i2c_block_data(self.ADDRESS, self._Z - 4, 6))
                steps.append(int.from_bytes(raw[4:], "little", signed=True))
            if n_ready:
                last = time.monotonic()
            elif time.monotonic() - last > 1:
                raise OSError("the ADXL345 gives no samples; check the wires")
            else:
                time.sleep(8 / RATE_HZ)
        return np.array(steps) * self.G_A_STEP


def lamp(pin: int) -> Callable[[bool], None]:
    """Return the function that switches the lamp at a GPIO pin on and off."""
    try:
        from gpiozero import LED
    except ImportError as error:
        raise ImportError("no gpiozero: pip install gpiozero lgpio, or leave out --lamp") from error
    led = LED(pin)
    return lambda lit: led.on() if lit else led.off()


if __name__ == "__main__":
    sys.exit(main())
