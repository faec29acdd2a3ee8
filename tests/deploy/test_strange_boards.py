"""A host that prints anything gets an error or a table row, and no control over the terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from edge_pipeline.cli.main import cli
from edge_pipeline.deployment import ssh
from edge_pipeline.deployment.deploy import deploy

pytestmark = pytest.mark.slow

Answering = Callable[[str], Path]
PROBED = "folder=/srv/edge\nmachine=aarch64\nbits=64\nruntime=r\nboard=Pi\n"
GOOD = "outcome=deployed\ncurrent=c-1\nprevious=\n"


@pytest.fixture
def answering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, versions: dict[float, Path]
) -> Answering:
    """Replace ssh by a shell script for every host; return a model to deploy."""

    def replace_ssh(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "ssh").write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
        (folder / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return versions[2.0]

    return replace_ssh


def steps(probed: str, activated: str) -> str:
    """Return a script that prints the output of both steps of a deployment without copies."""
    return (
        f'case "$*" in *probe*) printf %s {shlex.quote(probed)};; '
        f"*) printf %s {shlex.quote(activated)};; esac"
    )


def test_a_board_that_does_as_it_should_is_believed(answering: Answering) -> None:
    bench = {"timings": [{"call": "predict_one", "latency_us": {"p50": 4.5}}], "load_ms": 2}
    model = answering(steps(PROBED, f"{GOOD}bench={json.dumps(bench)}\n"))
    (result,) = deploy(model, ["pi"])
    assert (result.outcome, result.board, result.current) == ("deployed", "Pi", "c-1")
    assert result.bench["load_ms"] == 2


@pytest.mark.parametrize(
    "bench",
    [
        "[]",
        "7",
        "{",
        '{"timings": 3}',
        '{"timings": [1]}',
        '{"limits": {"a": 1}}',
        '{"load_ms": []}',
    ],
)
def test_a_bench_of_another_form_counts_as_none(answering: Answering, bench: str) -> None:
    model = answering(steps(PROBED, f"{GOOD}bench={bench}\n"))
    result = CliRunner().invoke(cli, ["deploy", str(model), "pi", "--quiet"])
    assert (result.exit_code, result.exception) == (0, None)
    assert "deployed" in result.output


@pytest.mark.parametrize(
    ("probed", "activated", "words"),
    [
        ("", GOOD, "ssh pi true"),
        ("Welcome\nmachine=aarch64\n", GOOD, "ssh pi true"),
        (PROBED, "", "reported no outcome"),
        (PROBED, "outcome=conquered\n", "reported no outcome"),
    ],
)
def test_a_board_that_says_less_or_something_else_has_failed(
    answering: Answering, probed: str, activated: str, words: str
) -> None:
    (result,) = deploy(answering(steps(probed, activated)), ["pi"])
    assert result.outcome == "failed"
    assert words in result.error


def test_no_board_commands_the_terminal(answering: Answering) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066"
    model = answering(steps(PROBED.replace("=Pi", f"=Pi{evil}"), GOOD.replace("c-1", f"c{evil}-1")))
    result = CliRunner().invoke(cli, ["deploy", str(model), "pi"])
    assert result.exit_code == 0
    assert "Pi?" in result.output
    printed = result.output.replace("\n", "")
    assert not {c for c in printed if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066"}


def test_a_failing_board_does_not_command_the_terminal(answering: Answering) -> None:
    (result,) = deploy(answering(r"printf 'edge: \033[2Jno' >&2; exit 3"), ["pi"])
    assert (result.outcome, result.error) == ("failed", "?[2Jno")


def test_a_board_that_never_stops_talking_is_not_kept_in_memory(answering: Answering) -> None:
    model = answering("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo folder=/late")
    (result,) = deploy(model, ["pi"])
    assert result.outcome == "failed"
    assert "ssh pi true" in result.error  # the late line is not read


def test_a_board_that_takes_for_ever_is_given_up(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "MOST_SECONDS", 1)
    (result,) = deploy(answering("exec sleep 600"), ["pi"])
    assert result.outcome == "failed"
    assert "one step took more than" in result.error
