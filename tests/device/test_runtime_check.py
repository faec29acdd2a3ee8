"""Test broken installations of onnxruntime: each is one error of ours, with its remedy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import edge_runtime

SITE = Path(onnxruntime.__file__).parents[1]
LOAD = """
import sys
import edge_runtime
try:
    model = edge_runtime.load(sys.argv[1], engine=sys.argv[2])
except edge_runtime.EdgeRuntimeError as error:
    print(f"{type(error).__name__}: {error}")
else:
    print(f"loaded by {model.engine}")
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages, with a copy of onnxruntime that is made of links."""
    folder = tmp_path / "site"
    for name in ("onnxruntime/capi", f"onnxruntime-{onnxruntime.__version__}.dist-info"):
        (folder / name).mkdir(parents=True)
    for source in [*SITE.glob("onnxruntime/*"), *SITE.glob("onnxruntime/capi/*")]:
        if source.is_file():
            (folder / source.relative_to(SITE)).symlink_to(source)
    runtime = Path(edge_runtime.__file__).parent
    numpy_site = Path(np.__file__).parents[1]
    for source in (
        runtime,
        runtime.with_name("edge_runtime_command.py"),
        runtime.with_name("edge_runtime_startup.py"),
        *numpy_site.glob("numpy*"),
    ):
        (folder / source.name).symlink_to(source)
    return folder


def run(site: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-S", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def replace(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def older(site: Path, name: str, version: str) -> None:
    """Install distribution *name* of a denied *version* over the files of the other."""
    (site / f"{name}-{version}.dist-info").mkdir()
    source = (site / "onnxruntime/__init__.py").read_text()
    replace(
        site / "onnxruntime/__init__.py",
        source.replace(f'"{onnxruntime.__version__}"', f'"{version}"')
        + f"\nget_version_string = lambda: {version!r}\n",
    )


def hide_version(site: Path) -> None:
    """Leave the new Python files over an old library, which alone knows its version."""
    (site / "onnxruntime_gpu-1.26.0.dist-info").mkdir()
    with_library = (site / "onnxruntime/__init__.py").read_text()
    replace(
        site / "onnxruntime/__init__.py",
        f"{with_library}\nget_version_string = lambda: '1.26.0'\n",
    )


def remove(site: Path, name: str) -> None:
    (site / "onnxruntime" / name).unlink()


BROKEN = {
    "an older distribution over it": (
        lambda site: older(site, "onnxruntime_gpu", "1.26.0"),
        "1.26.0 predicts binary forests wrongly",
    ),
    "an older library under it": (hide_version, "1.26.0 predicts binary forests wrongly"),
    "an unsupported one over it": (
        lambda site: older(site, "onnxruntime_openvino", "1.20.0"),
        "onnxruntime 1.20.0 is installed, expected 1.28",
    ),
    "an empty __init__.py": (
        lambda site: replace(site / "onnxruntime/__init__.py", ""),
        "pip install --force-reinstall",
    ),
    "an empty module": (
        lambda site: replace(site / "onnxruntime/capi/onnxruntime_inference_collection.py", ""),
        "pip install --force-reinstall",
    ),
    "a module of NULs": (
        lambda site: replace(site / "onnxruntime/capi/_pybind_state.py", "\0" * 100),
        "pip install --force-reinstall",
    ),
    "an empty library": (
        lambda site: replace(next(site.glob("onnxruntime/capi/onnxruntime_pybind11*")), ""),
        "file too short; a file of it is damaged",
    ),
    "a library cut short": (
        lambda site: replace(next(site.glob("onnxruntime/capi/onnxruntime_pybind11*")), "\x7fELF"),
        "pip install --force-reinstall",
    ),
    "no library": (
        lambda site: next(site.glob("onnxruntime/capi/onnxruntime_pybind11*")).unlink(),
        "pip install --force-reinstall",
    ),
    "no __init__.py": (
        lambda site: remove(site, "__init__.py"),
        "pip install --force-reinstall",
    ),
    "no list of files": (
        lambda site: next(site.glob("onnxruntime-*.dist-info")).rmdir(),
        "pip install",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.native("starts many processes")
def test_a_broken_onnxruntime_is_an_error_of_ours(site: Path, bundle_file: Path, name: str) -> None:
    spoil, words = BROKEN[name]
    spoil(site)
    result = run(site, "-c", LOAD, bundle_file, "onnxruntime")
    assert result.stderr == ""
    assert result.stdout.startswith("UnsupportedRuntimeError: ")
    assert words in result.stdout
    command = ("-m", "edge_runtime.cli")
    result = run(site, *command, "check", bundle_file, "--engine", "onnxruntime")
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert words in result.stderr
    result = run(site, *command, "doctor")
    assert (result.returncode, result.stderr) == (1, "")
    assert words in result.stdout
    assert "NOT OK: 1 problem" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["an unsupported one over it", "an empty library"])
@pytest.mark.native("starts many processes")
def test_numpy_predicts_where_onnxruntime_is_broken(
    site: Path, bundle_file: Path, name: str
) -> None:
    spoil, words = BROKEN[name]
    spoil(site)
    result = run(site, "-c", LOAD, bundle_file, "auto")
    assert result.stdout == "loaded by numpy\n"
    assert words in result.stderr
    assert "EngineWarning" in result.stderr
    result = run(site, "-m", "edge_runtime.cli", "check", bundle_file)
    assert (result.returncode, len(result.stderr.splitlines())) == (0, 1)
    assert result.stderr.startswith("edge-runtime: note: ")
    assert "numpy predicts instead" in result.stderr
    assert f"numpy {np.__version__} on" in result.stdout


@pytest.mark.native("starts many processes")
def test_numpy_predicts_where_there_is_no_onnxruntime(site: Path, bundle_file: Path) -> None:
    for folder in site.glob("onnxruntime*"):
        shutil.rmtree(folder)
    result = run(site, "-c", LOAD, bundle_file, "auto")
    assert (result.stdout, result.stderr) == ("loaded by numpy\n", "")
    result = run(site, "-m", "edge_runtime.cli", "doctor")
    assert result.returncode == 0
    assert "numpy predicts" in result.stdout


@pytest.mark.parametrize("text", ["", "\0" * 50, "import nothing_like_it\n"])
def test_a_damaged_numpy_is_one_line_of_the_command(
    site: Path, bundle_file: Path, text: str
) -> None:
    (site / "numpy").unlink()
    (site / "numpy").mkdir()
    (site / "numpy/__init__.py").write_text(text)
    source = "import sys, edge_runtime_command; sys.exit(edge_runtime_command.main())"
    for arguments in (("doctor",), ("check", bundle_file)):
        result = run(site, "-c", source, *arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("edge-runtime: cannot start (")
        assert len(result.stderr.splitlines()) == 1
        assert "install" in result.stderr


def test_two_good_distributions_are_a_warning(site: Path, bundle_file: Path) -> None:
    (site / f"onnxruntime_gpu-{onnxruntime.__version__}.dist-info").mkdir()
    assert run(site, "-c", LOAD, bundle_file, "auto").stdout == "loaded by onnxruntime\n"
    result = run(site, "-m", "edge_runtime.cli", "doctor")
    assert result.returncode == 0
    assert "are installed over each other" in result.stdout
    assert "OK: this machine can run models" in result.stdout


def test_a_healthy_onnxruntime_is_fine(site: Path, bundle_file: Path) -> None:
    assert run(site, "-c", LOAD, bundle_file, "auto").stdout == "loaded by onnxruntime\n"
