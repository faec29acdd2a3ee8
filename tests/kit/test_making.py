"""Make kits with reproducible bytes; refuse targets that cannot run the model."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from importlib.metadata import metadata
from pathlib import Path

import edge_pipeline
import kits
import pytest
from edge_pipeline.errors import KitError
from edge_pipeline.packaging.kit.archive import pack, read_kit
from edge_pipeline.packaging.kit.runtime_wheel import runtime_wheel
from edge_runtime.errors import NotABundleError, UnsupportedRuntimeError

import edge_runtime

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kit")]

Make = Callable[..., edge_pipeline.Kit]


def test_the_same_model_and_wheels_give_the_same_bytes(make: Make, line_file: Path) -> None:
    first, second = (make(board="4", platform=None, python="3.11") for _ in range(2))
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()


def test_a_board_kit_has_aarch64_wheels_and_their_hashes(
    board_kit: edge_pipeline.Kit,
) -> None:
    parts = read_kit(board_kit.path).parts
    wheels = {name.removeprefix("wheels/"): raw for name, raw in parts.items() if "wheels/" in name}
    assert {"edge_runtime", "numpy", "onnxruntime", "pip"} <= {n.split("-")[0] for n in wheels}
    assert [n for n in wheels if not re.search(r"(aarch64|none-any)\.whl$", n)] == []
    locked = dict(
        re.fullmatch(r"(\S+==\S+) --hash=sha256:([0-9a-f]{64})", line).groups()
        for line in parts["requirements.txt"].decode().splitlines()
    )
    hashes = {hashlib.sha256(raw).hexdigest() for n, raw in wheels.items() if n[:4] != "pip-"}
    assert set(locked.values()) == hashes
    assert f"edge-runtime=={edge_runtime.__version__}" in locked


def test_nothing_in_the_archive_tells_who_made_it_or_when(board_kit: edge_pipeline.Kit) -> None:
    with tarfile.open(board_kit.path) as archive:
        owners = {(e.mtime, e.uid, e.gid, e.uname, e.gname) for e in archive}
    assert owners == {(0, 0, 0, "", "")}


@pytest.mark.parametrize("board", ["zero", "zero-w", "1", "2", "pi2", "armv7l", "armhf"])
def test_a_32_bit_board_is_refused_by_name_with_the_remedy(line_file: Path, board: str) -> None:
    with pytest.raises(KitError, match=rf"{board} is 32-bit ARM.*64-bit board \(Zero 2 W, 3, 4, 5"):
        edge_pipeline.make_kit(line_file, board=board)


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("i686", "32-bit x86.*x86-64"),
        ("x86", "32-bit x86.*x86-64"),
        ("armv7l", "32-bit ARM"),
        ("alpine", "musl.*glibc"),
        ("musllinux_1_2_aarch64", "musl.*glibc"),
        ("windows", "unknown; expected"),
    ],
)
def test_a_platform_without_wheels_is_refused_by_name(
    line_file: Path, platform: str, words: str
) -> None:
    with pytest.raises(KitError, match=f"{platform}.*{words}"):
        edge_pipeline.make_kit(line_file, platform=platform)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"board": "4", "python": "3.9"}, "too old, 3.11 or newer"),
        ({"board": "4", "python": "three"}, "not a Python version"),
        ({}, "name either a board"),
        ({"board": "4", "platform": "x86-64"}, "name either a board"),
        ({"board": "6"}, "unknown; expected a board"),
        ({"board": "4", "extras": ["gpu"]}, "no extra 'gpu'"),
        ({"board": "4", "pins": ["numpy>=2"]}, "expected NAME==VERSION"),
        ({"board": "4", "pins": ["--index-url x"]}, "expected NAME==VERSION"),
        ({"board": "4", "name": "../x"}, "pass --name x"),
        ({"board": "4", "name": "runtime"}, "pass --name runtime-model"),
        ({"board": "4", "wheels": "no-such-folder"}, "not a folder"),
    ],
)
def test_bad_arguments_are_refused_before_any_download(
    line_file: Path, tmp_path: Path, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(KitError, match=words):
        edge_pipeline.make_kit(line_file, tmp_path / "kit", **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("board", ["zero2", "3", "4"])
def test_onnxruntime_1_21_0_is_refused_for_cortex_a53_and_a72(line_file: Path, board: str) -> None:
    """onnxruntime 1.21.0 ends with an illegal instruction on these CPUs."""
    with pytest.raises(UnsupportedRuntimeError, match=r"illegal instruction.*1\.21\.1 or later"):
        edge_pipeline.make_kit(line_file, board=board, pins=["onnxruntime==1.21.0"])


def test_onnxruntime_1_21_0_is_only_too_old_for_a_cortex_a76(line_file: Path) -> None:
    with pytest.raises(UnsupportedRuntimeError, match=r"expected 1\.\d+.* or later"):
        edge_pipeline.make_kit(line_file, board="5", pins=["onnxruntime==1.21.0"])


def test_the_extra_for_signatures_brings_what_checks_them(make: Make) -> None:
    if "signing" not in (metadata("edge-runtime").get_all("Provides-Extra") or ()):
        pytest.skip("THE INSTALLED edge-runtime IS OLDER THAN ITS EXTRAS; pip install it again")
    arguments = {"platform": None, "board": "zero2", "python": "3.11"}
    kit = make(extras=["signing"], **arguments)
    plain = make(**arguments)
    more = {package.name for package in kit.packages} - {package.name for package in plain.packages}
    assert "cryptography" in more
    assert kit.runtime_id != plain.runtime_id


def test_a_folder_without_the_wheels_is_named_with_what_it_lacks(
    line_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(KitError, match=r"lacks a wheel for Python 3.11 on aarch64.*pip says"):
        edge_pipeline.make_kit(line_file, tmp_path / "kit", board="4", wheels=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x" * 1000)
    with pytest.raises(NotABundleError):
        edge_pipeline.make_kit(tmp_path / "x.onnx", board="4")


def test_the_sbom_lists_the_digests_of_wheels_and_model(
    board_kit: edge_pipeline.Kit,
) -> None:
    parts = read_kit(board_kit.path).parts
    digests = {
        component["hashes"][0]["content"]
        for component in json.loads(parts["sbom.cdx.json"])["components"]
    }
    expected = {
        hashlib.sha256(raw).hexdigest()
        for name, raw in parts.items()
        if name.startswith(("wheels/", "models/"))
    }
    assert digests == expected


def test_the_sbom_keeps_to_the_schema_of_cyclonedx(
    slim: edge_pipeline.Kit, board_kit: edge_pipeline.Kit
) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    pytest.importorskip("jsonschema")
    from cyclonedx.schema import SchemaVersion

    validator = validation.JsonStrictValidator(SchemaVersion.V1_6)
    for kit in (slim, board_kit):
        text = read_kit(kit.path).parts["sbom.cdx.json"].decode()
        assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"library"', '"libary"', 1)) is not None


def test_the_licences_of_every_package_lie_in_the_kit(slim: edge_pipeline.Kit) -> None:
    parts = read_kit(slim.path).parts
    folders = {name.split("/")[1] for name in parts if name.startswith("licences/")}
    assert {f"{package.name}-{package.version}" for package in slim.packages} <= folders
    notices = next(name for name in parts if name.endswith("ThirdPartyNotices.txt"))
    assert len(parts[notices]) > 100_000


def test_the_runtime_wheel_equals_that_of_the_build_tool(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    process = subprocess.run(
        [*command, tmp_path, root / "edge_runtime"], capture_output=True, text=True, check=False
    )
    if process.returncode:
        pytest.skip(f"NO BUILD TOOL HERE, THE WHEELS WERE NOT COMPARED: {process.stderr[-200:]}")
    (built_wheel,) = tmp_path.glob("*.whl")
    (tmp_path / "ours").mkdir()
    ours = runtime_wheel(tmp_path / "ours")
    assert ours.path.name == built_wheel.name
    with zipfile.ZipFile(built_wheel) as theirs, zipfile.ZipFile(ours.path) as mine:
        assert sorted(mine.namelist()) == sorted(theirs.namelist())
        for name in theirs.namelist():
            if not name.endswith(("/RECORD", "/WHEEL", "/METADATA")):
                assert mine.read(name) == theirs.read(name), name


@pytest.mark.parametrize("damage", ["changed", "cut", "other"])
def test_a_kit_that_is_damaged_is_refused(
    board_kit: edge_pipeline.Kit, tmp_path: Path, damage: str
) -> None:
    raw = bytearray(board_kit.path.read_bytes())
    if damage == "changed":
        raw[len(raw) // 2] ^= 1
    path = tmp_path / "kit.tar.gz"
    path.write_bytes({"cut": raw[: len(raw) // 2], "other": b"no archive"}.get(damage, raw))
    with pytest.raises(KitError, match=r"cut short|not as it was packed|is not a kit"):
        read_kit(path)


def test_a_kit_with_any_changed_byte_is_refused_or_equal(tmp_path: Path) -> None:
    metadata_fields = dict.fromkeys(("name", "board", "machine", "python", "runtime_id"), "x") | {
        "format": 1
    }
    parts = {
        "kit.json": json.dumps(metadata_fields).encode(),
        "a.txt": bytes(range(256)) + b"ab" * 2000,
    }
    path = pack(parts, "x-kit", tmp_path / "kit.tar.gz")
    raw, packed = path.read_bytes(), read_kit(path).parts
    refused = 0
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        try:
            assert read_kit(path).parts == packed
        except KitError:
            refused += 1
    assert refused > len(raw) // 2


@pytest.mark.parametrize(
    "kit_json", ["[" * 100_000, '{"format": 1}', '{"format": 1, "name": []}', "[]"]
)
def test_a_kit_that_does_not_say_what_it_is_for_is_refused(tmp_path: Path, kit_json: str) -> None:
    path = pack({"kit.json": kit_json.encode()}, "x-kit", tmp_path / "kit.tar.gz")
    with pytest.raises(KitError, match="is not a kit"):
        read_kit(path)


def test_the_command_prints_what_is_installed_and_how_large(
    line_file: Path, tmp_path: Path, board_kit: edge_pipeline.Kit
) -> None:
    command = [Path(sys.executable).with_name("edge-pipeline"), "kit", line_file, "--board", "4"]
    wheels = ["--wheels", kits.wheels_for("aarch64", "3.11"), "-o", tmp_path / "it's a kit.gz"]
    process = subprocess.run([*command, *wheels], capture_output=True, text=True, check=True)
    assert re.search(r"^onnxruntime \S+ +\d+\.\d$", process.stdout, re.M)
    assert "Raspberry Pi 4" in process.stdout
    assert board_kit.sha256 in process.stdout
    process = subprocess.run(
        [*command[:3], "--board", "2"], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout) == (1, "")
    assert "32-bit ARM" in process.stderr
