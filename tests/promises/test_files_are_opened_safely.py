"""One function opens the files that a stranger may have put in place of a bundle or a key."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

RUNTIME = Path(__file__).resolve().parents[2] / "edge_runtime/src/edge_runtime"
GUARDED = sorted(
    path
    for pattern in ("bundle/*.py", "trust/*.py", "cli/trust.py", "cli/info.py", "loading.py")
    for path in RUNTIME.glob(pattern)
)
ALLOWED = {
    "bundle/regular_file.py": {"os.open", "fdopen"},
    # It writes a temporary file that it has just made.
    "bundle/atomic_file.py": {"fdopen"},
}
OPENERS = {"open", "fdopen", "read_text", "read_bytes"}


def openers(source: str) -> Iterator[str]:
    """Yield every call in *source* that opens a file."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in OPENERS:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="open")):
                yield "os.open"
            case ast.Call(func=ast.Attribute(attr=name)) if name in OPENERS:
                yield name


@pytest.mark.parametrize("path", GUARDED, ids=lambda path: str(path.relative_to(RUNTIME)))
def test_a_file_is_opened_by_open_regular_alone(path: Path) -> None:
    calls = set(openers(path.read_text(encoding="utf-8")))
    assert calls <= ALLOWED.get(str(path.relative_to(RUNTIME)), set())


def test_there_is_source_to_scan() -> None:
    assert len(GUARDED) > 12


@pytest.mark.parametrize(
    "source", ["open(p)", "Path(p).open()", "p.read_bytes()", "p.read_text()", "os.open(p, 0)"]
)
def test_the_scan_finds_each_call(source: str) -> None:
    assert len(list(openers(source))) == 1
