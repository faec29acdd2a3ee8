"""Promise: one filter stands in front of all that the device's command prints."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ROOT / "edge_runtime/src/edge_runtime"
CONSOLE = DEVICE / "cli/console.py"
# Its standard output is a pipe to the process that started it.
CHILD = DEVICE / "isolation.py"
SOURCES = sorted(set(DEVICE.rglob("*.py")) - {CONSOLE, CHILD})
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def prints(source: str) -> Iterator[str]:
    """Yield every place of *source* that prints without the filter."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield f"line {node.lineno}: print"
            case ast.Call(
                func=ast.Attribute(attr="write" | "writelines", value=ast.Attribute(attr=stream))
            ) if stream in STREAMS:
                yield f"line {node.lineno}: sys.{stream}.write"
            case ast.Call(
                func=ast.Attribute(attr="write", value=ast.Name(id="os")),
                args=[ast.Constant(value=1 | 2), *_],
            ):
                yield f"line {node.lineno}: os.write"
            case ast.Attribute(attr="dumps" | "dump", value=ast.Name(id="json")):
                yield f"line {node.lineno}: json"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_console_prints(path: Path) -> None:
    places = list(prints(path.read_text(encoding="utf-8")))
    if path.is_relative_to(CONSOLE.parent):
        assert places == []
    assert [place for place in places if not place.endswith("json")] == []


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "import sys\nsys.stderr.write('a')",
        "import os\nos.write(2, b'a')",
        "import json\njson.dumps(1)",
    ],
)
def test_every_way_to_print_is_found(source: str) -> None:
    assert list(prints(source))
