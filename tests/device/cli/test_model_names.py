"""A model is found by its name, in the folder that kits and deployments write to."""

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
def test_every_command_takes_the_name_of_a_model_for_its_file(
    run: Run, folder: Path, command: str
) -> None:
    by_name = run(command, "tiny", "--json")
    assert by_name == run(command, folder / "edge/tiny/current/model.onnx", "--json")
    assert by_name[0] == 0


def test_without_the_variable_a_model_is_looked_for_where_users_keep_their_data(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_MODELS")
    assert run("info", "tiny")[0] == 1
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    assert run("info", "tiny")[0] == 0


def test_a_file_of_that_name_goes_before_the_model(run: Run, folder: Path) -> None:
    (folder / "tiny").write_bytes(b"no bundle")
    code, _, err = run("info", "tiny")
    assert code == 1
    assert "bundle" in err


def test_a_name_that_no_model_has_is_refused_with_those_that_there_are(
    run: Run, folder: Path
) -> None:
    code, out, err = run("info", "tinny")
    assert (code, out) == (1, "")
    assert "models here are tiny; did you mean tiny?: tinny" in err
    assert "did you mean" not in run("info", "zzz")[2]


@pytest.mark.parametrize("name", ["../edge/tiny", ".", "-", "tiny/current"])
def test_what_is_no_name_leads_to_no_model(run: Run, folder: Path, name: str) -> None:
    assert run("info", "--", name)[0] == 1
