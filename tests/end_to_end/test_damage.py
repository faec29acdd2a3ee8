"""A file that is not what was sealed is refused, with a line that helps and no traceback."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from edge_runtime.bundle.layout import unpack
from edge_runtime.bundle.seal import SEAL_ENTRY_BYTES

import edge_runtime
from edge_runtime import BundleError

pytestmark = pytest.mark.xdist_group("penguins")

COMMAND = Path(sys.executable).with_name("edge-runtime")


def future(raw: bytes) -> bytes:
    # The format's four digits follow the seal's eight letters.
    place = len(raw) - 276 + 8
    return raw[:place] + b"0009" + raw[place + 4 :]


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], type[BundleError], str]] = {
    "cut short": (lambda raw: raw[:-1], edge_runtime.NotABundleError, "cut short"),
    "cut in half": (
        lambda raw: raw[: len(raw) // 2],
        edge_runtime.NotABundleError,
        "copy it again",
    ),
    "empty": (lambda raw: b"", edge_runtime.NotABundleError, "edge-pipeline"),
    "one byte more": (lambda raw: raw + b"\0", edge_runtime.NotABundleError, "no seal at the end"),
    "one byte of the graph": (
        lambda raw: raw[:100] + bytes([raw[100] ^ 1]) + raw[101:],
        edge_runtime.IntegrityError,
        "changed after it was sealed",
    ),
    "a future format": (future, edge_runtime.FormatVersionError, "update edge-runtime"),
    "bare graph": (lambda raw: bytes(unpack(raw).graph), edge_runtime.NotABundleError, "no seal"),
    "not ONNX": (
        lambda raw: b"species,island\n" * 40,
        edge_runtime.NotABundleError,
        "not a sealed",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_as_the_right_error_with_a_line_that_helps(
    penguins: Any, tmp_path: Path, name: str
) -> None:
    spoil, error, words = DAMAGE[name]
    path = tmp_path / "damaged.onnx"
    path.write_bytes(spoil(penguins.path.read_bytes()))
    with pytest.raises(error, match=words) as caught:
        edge_runtime.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["info", "check", "predict"])
@pytest.mark.parametrize(
    "name", ["cut in half", "one byte of the graph", "a future format", "not ONNX"]
)
def test_the_command_line_says_it_in_one_line_without_a_traceback(
    penguins: Any, tmp_path: Path, name: str, command: str
) -> None:
    spoil, _, words = DAMAGE[name]
    path = tmp_path / "damaged.onnx"
    path.write_bytes(spoil(penguins.path.read_bytes()))
    done = subprocess.run(
        [COMMAND, command, path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_single_byte_can_change_unnoticed(penguins: Any) -> None:
    raw = penguins.path.read_bytes()
    sealed = len(raw) - SEAL_ENTRY_BYTES
    # A sample of what the digest covers; all of the seal, which covers itself by its spelling.
    for place in [*range(0, sealed, 211), *range(sealed, len(raw))]:
        for flip in (0x01, 0x20, 0x80):
            changed = bytearray(raw)
            changed[place] ^= flip
            with pytest.raises(BundleError):
                unpack(bytes(changed))


def test_an_onnx_file_of_somebody_elses_is_not_a_bundle(penguins: Any, tmp_path: Path) -> None:
    model = onnx.load(penguins.path)
    del model.metadata_props[:]
    path = tmp_path / "plain.onnx"
    onnx.save(model, path)
    with pytest.raises(edge_runtime.NotABundleError, match="make one with edge-pipeline"):
        edge_runtime.load(path)


def test_a_missing_file_stays_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        edge_runtime.load(tmp_path / "absent.onnx")
