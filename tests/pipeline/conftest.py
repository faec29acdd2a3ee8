"""Write a healthy recipe with its table; a test spoils one part of it."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RECIPE = """\
name = "boats"
task = "classification"

[data]
file = "boats.csv"
target = "kind"

[preprocessing]
numbers = ["impute", "scale"]
strings = ["impute", "one-hot"]

[estimator]
class = "sklearn.linear_model.LogisticRegression"

[estimator.parameters]
C = 2.0
"""

HULLS = ("oak", "steel", "")
KINDS = ("sloop", "ketch")
BOATS = ["length,masts,hull,kind"] + [
    f"{6 + i / 2 + 9 * (i % 2)},{1 + i % 2},{HULLS[i % 3]},{KINDS[i % 2]}" for i in range(24)
]


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    """Write a recipe that builds, with 24 rows."""
    (tmp_path / "boats.csv").write_text("\n".join(BOATS) + "\n", encoding="utf-8")
    file = tmp_path / "recipe.toml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


@pytest.fixture
def changed(recipe_file: Path) -> Callable[..., Path]:
    """Replace text of the healthy recipe, pair by pair."""

    def change(*pairs: tuple[str, str]) -> Path:
        text = recipe_file.read_text(encoding="utf-8")
        for before, after in pairs:
            assert before in text, f"the healthy recipe has no {before!r}"
            text = text.replace(before, after)
        recipe_file.write_text(text, encoding="utf-8")
        return recipe_file

    return change


@pytest.fixture
def ctrl_c_raises() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, also where a shell's background job ignores it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)
