"""Test that a model is found by its name in the folder of kits and deployments."""

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, healthy_bundle: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device's models: one, called tiny."""
    release = tmp_path / "edge/tiny/releases/1"
    release.mkdir(parents=True)
    (release / "model.onnx").write_bytes(healthy_bundle)
    (tmp_path / "edge/tiny/current").symlink_to("releases/1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_MODELS", str(tmp_path / "edge"))
    return tmp_path


@pytest.mark.parametrize("command", ["info", "check"])
def test_commands_take_a_model_name_for_its_file(run: Run, folder: Path, command: str) -> None:
    by_name = run(command, "tiny", "--json")
    assert by_name == run(command, folder / "edge/tiny/current/model.onnx", "--json")
    assert by_name[0] == 0


def test_models_are_searched_in_the_users_data_folder(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without EDGE_MODELS, models are searched in the folder of the user's data."""
    monkeypatch.delenv("EDGE_MODELS")
    assert run("info", "tiny")[0] == 1
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    assert run("info", "tiny")[0] == 0


def test_a_file_of_that_name_goes_before_the_model(run: Run, folder: Path) -> None:
    (folder / "tiny").write_bytes(b"no bundle")
    code, _, err = run("info", "tiny")
    assert code == 1
    assert "bundle" in err


def test_an_unknown_model_name_lists_the_models_here(run: Run, folder: Path) -> None:
    code, out, err = run("info", "tinny")
    assert (code, out) == (1, "")
    assert "models here are tiny; did you mean tiny?: tinny" in err
    assert "did you mean" not in run("info", "zzz")[2]


@pytest.mark.parametrize("name", ["../edge/tiny", ".", "-", "tiny/current"])
def test_an_invalid_name_finds_no_model(run: Run, folder: Path, name: str) -> None:
    assert run("info", "--", name)[0] == 1
