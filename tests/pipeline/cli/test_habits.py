"""The command line as people like it: guesses, colours, exit codes, a log, no traceback."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import edge_pipeline
import pytest
from click.testing import CliRunner, Result
from edge_pipeline.cli.command_group import BUG, INTERRUPTED, LazyGroup, run
from edge_pipeline.cli.main import cli

COMMAND = Path(sys.executable).with_name("edge-pipeline")


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def names(group: click.Group = cli) -> list[str]:
    return group.list_commands(click.Context(group))


@pytest.mark.parametrize("name", names())
def test_the_list_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.short_help == cli._lazy_commands[name].short_help
    assert command.name == name


@pytest.mark.parametrize("name", names())
def test_every_command_has_examples_in_its_help(name: str) -> None:
    told = ask(name, "--help").stdout
    command = cli.get_command(click.Context(cli), name)
    if not isinstance(command, click.Group):
        assert f"edge-pipeline {name} " in told.partition("Examples:\n")[2]
        assert "--debug" in told
        assert "--verbose" in told


def test_a_command_that_is_misspelt_is_guessed() -> None:
    result = ask("biuld", "x")
    assert result.exit_code == 2
    assert "No such command 'biuld'. Did you mean 'build'?" in result.stderr
    assert re.search("There are: .*build, ", ask("zzz").stderr)


def test_an_option_that_is_misspelt_is_guessed() -> None:
    result = ask("build", "--outptu", "x")
    assert result.exit_code == 2
    assert "--output" in result.stderr


def test_a_failure_is_one_line_and_its_story_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = ask("inspect", "absent.onnx")
    assert result.exit_code == 1
    assert result.stderr == "Error: absent.onnx: No such file or directory\n"
    log = tmp_path / "edge-pipeline/last-failure.log"
    story = log.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in story
    assert "FileNotFoundError" in story
    assert "scikit-learn 1." in story
    assert f"log of this failure: {log}" in ask("inspect", "absent.onnx", "--verbose").stderr


def test_a_log_that_cannot_be_written_is_no_second_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    result = ask("inspect", "absent.onnx")
    assert result.stderr == "Error: absent.onnx: No such file or directory\n"


def test_debug_shows_the_traceback_and_its_cause() -> None:
    result = ask("inspect", "absent.onnx", "--debug")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith("Error: absent.onnx: No such file or directory\n")


def broken() -> LazyGroup:
    group = LazyGroup("broken")

    @group.command()
    def stumble() -> None:
        raise KeyError("x")

    @group.command()
    def stop() -> None:
        raise KeyboardInterrupt

    return group


def test_a_bug_of_ours_has_an_exit_code_of_its_own_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["broken", "stumble"])
    with pytest.raises(SystemExit) as ended:
        run(broken(), "broken")
    told = capsys.readouterr().err
    assert ended.value.code == BUG == 3
    assert "Bug: KeyError: 'x'\nThis is a fault of broken, please report it" in told
    assert "Traceback" not in told
    story = (tmp_path / "edge-pipeline/last-failure.log").read_text(encoding="utf-8")
    assert "in stumble" in story
    monkeypatch.setattr(sys, "argv", ["broken", "stumble", "--debug"])
    with pytest.raises((KeyError, SystemExit)):
        run(broken(), "broken")


def test_an_interruption_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(broken(), ["stop"])
    assert (result.exit_code, result.stderr) == (INTERRUPTED, "interrupted\n")


def on_terminal(*arguments: str, **environment: str) -> str:
    """What a command prints to a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *arguments],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    ):
        os.close(follower)
        told = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # Linux says so when the other side is closed
                break
            told += piece
    os.close(leader)
    return told.decode()


def test_colours_are_for_terminals_and_for_those_who_want_them() -> None:
    assert "\x1b[31m" in on_terminal("inspect", "absent.onnx")
    assert "\x1b[" not in on_terminal("inspect", "absent.onnx", NO_COLOR="1")
    assert "\x1b[" not in ask("inspect", "absent.onnx").stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_completion_knows_commands_and_options(shell: str) -> None:
    variables = {
        "bash": {"COMP_WORDS": "edge-pipeline bui", "COMP_CWORD": "1"},
        "zsh": {"COMP_WORDS": "edge-pipeline bui", "COMP_CWORD": "1"},
        "fish": {"COMP_WORDS": "edge-pipeline bui", "COMP_CWORD": "bui"},
    }[shell]
    told = subprocess.run(
        [COMMAND],
        capture_output=True,
        text=True,
        env={**os.environ, **variables, "_EDGE_PIPELINE_COMPLETE": f"{shell}_complete"},
        check=False,
    ).stdout
    assert "build" in told
    assert "verify" not in told


def test_the_version_is_the_one_that_is_installed() -> None:
    from importlib.metadata import version

    assert ask("--version").stdout == f"edge-pipeline, version {version('edge-pipeline')}\n"
    assert edge_pipeline.__name__ == "edge_pipeline"
