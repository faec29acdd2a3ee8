"""Tables on a terminal: long values wrap below their column, and a verdict has a colour."""

import os
import sys

import pytest
from edge_runtime.cli.console import print_table

LINES = [("model", "boats"), ("seal", "word " * 40 + "end"), ("verdict", "OK: it runs")]


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make standard output look like a terminal of 60 columns, from inside the test."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((60, 24)))


def test_long_values_continue_below_their_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch)
    print_table(LINES)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines[:-1]) <= 60
    assert lines[1].startswith("seal     word")
    assert all(line.startswith("         word") for line in lines[2:-2])
    assert " ".join(" ".join(lines[1:-1]).split()) == "seal " + "word " * 40 + "end"


@pytest.mark.parametrize(("verdict", "colour"), [("OK: it runs", 32), ("NOT OK: 1 problem", 31)])
def test_a_verdict_is_green_or_red(
    capsys: pytest.CaptureFixture[str], verdict: str, colour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch)
    print_table([("verdict", verdict)])
    assert capsys.readouterr().out == f"\x1b[{colour}mverdict  {verdict}\x1b[0m\n"


def test_no_color_is_respected(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(LINES[2:])
    assert "\x1b" not in capsys.readouterr().out


def test_a_file_gets_whole_lines_without_colour(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(LINES)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)


def test_a_hostile_value_cannot_colour_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch)
    print_table([("model", "boats\x1b[31m" + " x" * 60)])
    assert "\x1b" not in capsys.readouterr().out
