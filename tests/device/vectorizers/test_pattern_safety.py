"""Patterns of vectorizers are accepted; those that could take for ever are refused."""

import time

import pytest
from edge_runtime.vectorizers.pattern_safety import compile_safely

from edge_runtime import IntegrityError

ORDINARY = [
    r"(?u)\b\w\w+\b",
    r"\w+",
    r"\b\w+\b",
    r"[^\W\d_]+",
    r"\S+",
    r"[a-zA-Z]{2,}",
    r"\b[a-z][a-z0-9_]*\b",
    r"(?i)[a-zà-ÿ]+",
    r"\w+(?:'\w+)?",
    r"\w+(?:[-']\w+)*",
    r"#?\w+",
    r"(\d+)-\d+",
    r"\d+(?:\.\d+)?",
    r"[A-Za-z]+|\d+",
    r"\d{4}-\d{2}-\d{2}",
    r"(?<!\w)[a-z]+(?!\w)",
    r".",
    r"(?:ab)+",
    r"(?:a|ab)+c",
    r"foo|food|bar",
    "",
]


@pytest.mark.parametrize("pattern", ORDINARY)
def test_an_ordinary_pattern_is_accepted(pattern: str) -> None:
    text = "don't stop-the 12.5 #tags, 2026-11-30 " * 20
    assert compile_safely(pattern).findall(text) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"(a*)*b",
        r"(?:a|a)+b",
        r"(?:a+b|a+c)+d",
        r"(?:x|xa*)+y",
        r"(a|aa)+b",
        r"(?:\w+\s?)+$",
        r"(?:\w*)+!",
        r"\w+\w+!",
        r".*.*=",
        r"\d+\w*\d+x",
        r"(?:a?){30}a{30}",
        "a?" * 40 + "a" * 40,
        r"(?:ab)?" * 40 + "c",
        r"(\w+)\1",
        r"(?=(\w+)+!)\w",
        r"(?i:A+)a+b",
        r"(?:-\w*)*(?:-\w*)*!",
        r"[\u0000-\uffff]+",
        "(" * 300 + ")" * 300 + "(a+)+b",
        r"(?:x|y?)+z",
        r"((?:a+b?)+)c",
    ],
)
def test_a_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    started = time.monotonic()
    with pytest.raises(IntegrityError):
        compile_safely(pattern)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "pattern",
    ["(" * 3000, "(" * 900, "a{99999999999999}", "(?L)a", "[", "*", "(?P<a>", "\\", "a" * 1001],
)
def test_every_error_of_re_is_an_error_of_the_bundle(pattern: str) -> None:
    with pytest.raises(IntegrityError):
        compile_safely(pattern)
