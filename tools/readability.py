"""Count what makes the code and the documentation hard to read, place by place.

``python tools/readability.py`` prints the totals; ``--list`` prints every place; paths restrict it
to files below them; ``--check`` exits with 1 when a total is above its ceiling in ``CEILINGS``.

It counts names that do not say what they hold, docstrings that open with a template, long
sentences, modules that import each other in a circle, long files and long functions.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

BARE_NAMES = frozenset(
    """
    answered asked both broken built called chosen counted cut done drawn found given grown held
    joined kept known learnt left lost made measured moved named other others put rest said same
    sealed seen sent shown spoiled stored taken tried told used wanted what which written
    """.split()  # noqa: SIM905 - a list of 43 lines would hide that it is one
)
"""Participles and pronouns: as a whole name, they do not say what the value is."""

MAX_SENTENCE_WORDS, MAX_FILE_LINES, MAX_FUNCTION_LINES = 25, 400, 40

CEILINGS = {
    "bare names in src": 35,
    "bare names in tests and tools": 35,
    "templates in src": 0,
    "modules in circles": 0,
    "files over 400 lines": 0,
    "functions over 40 code lines in src": 4,
    "sentences over 25 words in docstrings": 12,
    "sentences over 25 words in docs": 40,
}


class Place(NamedTuple):
    """One thing to mend: what kind, where, and the text in question."""

    kind: str
    file: str
    line: int
    text: str


def main() -> int:
    """Print the totals, or every place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", help="files and folders; everything by default")
    parser.add_argument("--list", action="store_true", help="print every place")
    parser.add_argument("--check", action="store_true", help="exit with 1 above a ceiling")
    options = parser.parse_args()
    places = [*places_below(options.paths), *circles()]
    if options.list:
        for place in places:
            print(f"{place.file}:{place.line}: {place.kind}: {place.text[:160]}")
    totals: dict[str, int] = {}
    for place in places:
        totals[place.kind] = totals.get(place.kind, 0) + 1
    for kind in sorted(totals):
        print(f"{totals[kind]:6d} {kind}")
    too_many = [kind for kind, most in CEILINGS.items() if totals.get(kind, 0) > most]
    return int(options.check and bool(too_many))


def places_below(paths: Iterable[str]) -> Iterator[Place]:
    """Everything to mend in the tracked files below *paths*."""
    command = ["git", "ls-files", "--", *(str(Path(path).resolve()) for path in paths)]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listing.stdout.splitlines():
        file = ROOT / name
        if not file.is_file():
            continue
        if name.endswith(".py"):
            yield from python_places(name, file.read_text(encoding="utf-8"))
        elif name.endswith(".md"):
            yield from page_places(name, file.read_text(encoding="utf-8"))


def python_places(name: str, text: str) -> Iterator[Place]:
    """Names, docstrings and lengths of one Python file."""
    tree = ast.parse(text)
    area = "src" if "/src/" in name else "tests and tools"
    operands = dunder_operands(tree)
    for node in ast.walk(tree):
        bound = bound_name(node)
        if bound in BARE_NAMES and node not in operands:
            yield Place(f"bare names in {area}", name, node.lineno, bound)  # type: ignore[attr-defined]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from docstring_places(name, area, node)
    lines = text.count("\n")
    if lines > MAX_FILE_LINES:
        yield Place(f"files over {MAX_FILE_LINES} lines", name, 1, f"{lines} lines")
    code = code_lines(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = sum(node.lineno <= line <= (node.end_lineno or 0) for line in code)
            if length > MAX_FUNCTION_LINES:
                kind = f"functions over {MAX_FUNCTION_LINES} code lines in {area}"
                yield Place(kind, name, node.lineno, f"{node.name}: {length}")


def dunder_operands(tree: ast.AST) -> set[ast.AST]:
    """The parameters of ``__add__`` and its kin: Python's own documentation calls them *other*."""
    return {
        parameter
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("__")
        for parameter in node.args.args
    }


def bound_name(node: ast.AST) -> str | None:
    """The name that *node* binds, as a variable, a parameter or a definition."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name.strip("_")
    return None


def docstring_places(
    name: str, area: str, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[Place]:
    """The opening line and the long sentences of one docstring."""
    docstring = ast.get_docstring(node)
    if not docstring:
        return
    line = getattr(node, "lineno", 1)
    first = docstring.splitlines()[0]
    if re.match(r"What\b", first) or re.search(r"\bin[,;:]? .*\bout\b", first):
        yield Place(f"templates in {area}", name, line, first)
    for sentence in sentences(docstring):
        yield Place(
            f"sentences over {MAX_SENTENCE_WORDS} words in docstrings", name, line, sentence
        )


def page_places(name: str, text: str) -> Iterator[Place]:
    """The long sentences of one page."""
    prose = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^( {4}|\||#|<).*$", "", prose, flags=re.MULTILINE)
    for sentence in sentences(prose):
        yield Place(f"sentences over {MAX_SENTENCE_WORDS} words in docs", name, 1, sentence)


def sentences(text: str) -> Iterator[str]:
    """The sentences of *text* that are too long."""
    for paragraph in re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.|>>>) |\n-+\n", text):
        for sentence in re.split(r"(?<=[.:;!?])\s+", " ".join(paragraph.split())):
            if len(sentence.split()) > MAX_SENTENCE_WORDS:
                yield sentence


def code_lines(text: str) -> set[int]:
    """Numbers of the lines that hold code: no blank line, comment or docstring."""
    lines: set[int] = set()
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    starts_statement = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_docstring = token.type == tokenize.STRING and starts_statement
        if token.type not in skipped and not is_docstring:
            lines.update(range(token.start[0], token.end[0] + 1))
        if token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            starts_statement = True
        elif token.type not in (tokenize.COMMENT, tokenize.NL):
            starts_statement = False
    return lines


def circles() -> Iterator[Place]:
    """The modules that import each other in a circle, imports inside functions included."""
    imports = imported_modules()
    for module in sorted(imports):
        if module in reachable(imports, module):
            yield Place("modules in circles", module, 1, ", ".join(sorted(imports[module])))


def reachable(imports: dict[str, set[str]], start: str) -> set[str]:
    """The modules that *start* imports, directly or through others."""
    seen_modules: set[str] = set()
    waiting = list(imports[start])
    while waiting:
        module = waiting.pop()
        if module not in seen_modules:
            seen_modules.add(module)
            waiting += imports.get(module, ())
    return seen_modules


def imported_modules() -> dict[str, set[str]]:
    """Module to the modules of ours that it imports when it runs (not for type checkers alone)."""
    files = {
        module_name(file): file
        for source in ("edge_runtime/src", "pipeline/src")
        for file in (ROOT / source).rglob("*.py")
        if not file.name.startswith("._")
    }
    result: dict[str, set[str]] = {}
    for module, file in files.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        result[module] = {
            target
            for node in runtime_nodes(tree)
            for target in targets_of(node, files.keys())
            # A package's __init__ that re-exports a name is no room of its own.
            if target != module and files[target].name != "__init__.py"
        }
    return result


def module_name(file: Path) -> str:
    """``pipeline/src/edge_pipeline/data/csv.py`` as ``edge_pipeline.data.csv``."""
    parts = file.relative_to(ROOT).with_suffix("").parts[2:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below *node*, without the bodies of ``if TYPE_CHECKING``."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield from runtime_nodes(child)


def targets_of(node: ast.AST, modules: Iterable[str]) -> Iterator[str]:
    """The modules among *modules* that one import statement names."""
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names if name.name in modules)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for name in node.names:
            full = f"{node.module}.{name.name}"
            if full in modules:
                yield full
            elif node.module in modules:
                yield node.module


if __name__ == "__main__":
    sys.exit(main())
