"""Check suggestions, colours, exit codes, the log and completion of the command line."""

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


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def names(group: click.Group = cli) -> list[str]:
    return group.list_commands(click.Context(group))


@pytest.mark.parametrize("name", names())
def test_the_list_of_commands_has_their_own_short_help(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.short_help == cli._lazy_commands[name].short_help
    assert command.name == name


@pytest.mark.parametrize("name", names())
def test_every_command_has_examples_in_its_help(name: str) -> None:
    help_text = invoke(name, "--help").stdout
    command = cli.get_command(click.Context(cli), name)
    if not isinstance(command, click.Group):
        assert f"edge-pipeline {name} " in help_text.partition("Examples:\n")[2]
        assert "--debug" in help_text
        assert "--verbose" in help_text


def test_a_misspelt_command_gets_a_suggestion() -> None:
    result = invoke("biuld", "x")
    assert result.exit_code == 2
    assert "No such command 'biuld'. Did you mean 'build'?" in result.stderr
    assert re.search("There are: .*build, ", invoke("zzz").stderr)


def test_a_misspelt_option_gets_a_suggestion() -> None:
    result = invoke("build", "--outptu", "x")
    assert result.exit_code == 2
    assert "--output" in result.stderr


def test_a_failure_is_one_line_and_has_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = invoke("inspect", "absent.onnx")
    assert result.exit_code == 1
    assert result.stderr == "Error: absent.onnx: No such file or directory\n"
    log = tmp_path / "edge-pipeline/last-failure.log"
    text = log.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in text
    assert "FileNotFoundError" in text
    assert "scikit-learn 1." in text
    assert f"log of this failure: {log}" in invoke("inspect", "absent.onnx", "--verbose").stderr


def test_a_failure_without_a_writable_log_is_still_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    result = invoke("inspect", "absent.onnx")
    assert result.stderr == "Error: absent.onnx: No such file or directory\n"


def test_debug_shows_the_traceback_and_its_cause() -> None:
    result = invoke("inspect", "absent.onnx", "--debug")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith("Error: absent.onnx: No such file or directory\n")


def failing_group() -> LazyGroup:
    group = LazyGroup("broken")

    @group.command()
    def stumble() -> None:
        raise KeyError("x")

    @group.command()
    def stop() -> None:
        raise KeyboardInterrupt

    return group


def test_a_bug_has_its_own_exit_code_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["broken", "stumble"])
    with pytest.raises(SystemExit) as ended:
        run(failing_group(), "broken")
    stderr = capsys.readouterr().err
    assert ended.value.code == BUG == 3
    assert "Bug: KeyError: 'x'\nThis is a bug of broken, please report it" in stderr
    assert "Traceback" not in stderr
    log = (tmp_path / "edge-pipeline/last-failure.log").read_text(encoding="utf-8")
    assert "in stumble" in log
    monkeypatch.setattr(sys, "argv", ["broken", "stumble", "--debug"])
    with pytest.raises((KeyError, SystemExit)):
        run(failing_group(), "broken")


def test_an_interruption_has_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(failing_group(), ["stop"])
    assert (result.exit_code, result.stderr) == (INTERRUPTED, "interrupted\n")


def on_terminal(*arguments: str, **environment: str) -> str:
    """Run a command on a terminal, and return its output."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *arguments],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    ):
        os.close(follower)
        output = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # Linux reports the closed end so
                break
            output += piece
    os.close(leader)
    return output.decode()


def test_colours_need_a_terminal_and_no_no_color() -> None:
    assert "\x1b[31m" in on_terminal("inspect", "absent.onnx")
    assert "\x1b[" not in on_terminal("inspect", "absent.onnx", NO_COLOR="1")
    assert "\x1b[" not in invoke("inspect", "absent.onnx").stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_knows_the_commands(shell: str) -> None:
    variables = {
        "bash": {"COMP_WORDS": "edge-pipeline bui", "COMP_CWORD": "1"},
        "zsh": {"COMP_WORDS": "edge-pipeline bui", "COMP_CWORD": "1"},
        "fish": {"COMP_WORDS": "edge-pipeline bui", "COMP_CWORD": "bui"},
    }[shell]
    suggestions = subprocess.run(
        [COMMAND],
        capture_output=True,
        text=True,
        env={**os.environ, **variables, "_EDGE_PIPELINE_COMPLETE": f"{shell}_complete"},
        check=False,
    ).stdout
    assert "build" in suggestions
    assert "verify" not in suggestions


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert invoke("--version").stdout == f"edge-pipeline, version {version('edge-pipeline')}\n"
    assert edge_pipeline.__name__ == "edge_pipeline"
