"""Write docs/reference.md: public names, errors and commands of both packages.

Usage: reference.py [--check]

With --check nothing is written; exit 1 if the page differs from the code.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import edge_pipeline
from edge_pipeline.cli.main import cli

import edge_runtime

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/reference.md"

WIDEST = 100
"""Most characters of a signature on one line."""

HEAD = """# Reference

Written by `tools/reference.py` from the code; do not edit it here.  `help(edge_pipeline.build)` and
the like have parameters and errors in full; [recipe.md](recipe.md) has the keys of a recipe.
"""


def main() -> int:
    """Write the page, or compare it with the code."""
    text = "\n".join([HEAD, *_package(edge_pipeline), *_package(edge_runtime), *_commands()])
    text = text.rstrip("\n") + "\n"
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/reference.md differs from the code; run: python tools/reference.py")
    return 1


def _package(package: ModuleType) -> Iterator[str]:
    names = [name for name in package.__all__ if not name.startswith("__")]
    members = {name: getattr(package, name) for name in names}
    yield f"## {package.__name__}\n"
    yield f"{_summary(package)}\n"
    yield "### Functions\n"
    for name, member in members.items():
        if inspect.isfunction(member):
            yield f"```python\n{_signature(name, member)}\n```\n"
            yield f"{_summary(member)}\n"
    yield "### Classes\n"
    yield "| class | |\n|---|---|"
    for name, member in members.items():
        if inspect.isclass(member) and not issubclass(member, Exception):
            yield f"| `{name}` | {_summary(member)} |"
    yield ""
    yield "### Errors\n"
    tree = re.search(r"^::\n\n(.*?)\n\n\S", sys.modules[f"{package.__name__}.errors"].__doc__ or "",
                     re.MULTILINE | re.DOTALL)  # fmt: skip
    yield f"```\n{inspect.cleandoc(tree[1]) if tree else ''}\n```\n"


def _signature(name: str, member: object) -> str:
    signature = inspect.signature(member)  # type: ignore[arg-type]
    parts = []
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            parts.append("*")
        default = "" if parameter.default is parameter.empty else " = ..."
        if parameter.default in (None, True, False) or isinstance(parameter.default, int | float):
            default = f" = {parameter.default!r}"
        parts.append(f"{parameter.name}: {parameter.annotation}{default}")
    returns = f") -> {signature.return_annotation}"
    if len(flat := f"{name}({', '.join(parts)}{returns}") <= WIDEST:
        return flat
    lines = [""]
    for part in parts:
        if len(lines[-1]) + len(part) + 2 > WIDEST - 4:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{part},"
    return f"{name}(\n" + "".join(f"    {line}\n" for line in lines) + returns


def _summary(member: object) -> str:
    """Return the first paragraph of the docstring, without its markup."""
    text = inspect.getdoc(member) or ""
    first = " ".join(text.partition("\n\n")[0].split())
    return re.sub(r":\w+:`~?\.?([^`]*)`", r"`\1`", first).replace("``", "`").replace("|", "\\|")


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    yield "Options and examples: [edge-pipeline](cli-edge-pipeline.md),"
    yield "[edge-runtime](cli-edge-runtime.md), or `--help`.\n"
    yield "| command | |\n|---|---|"
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        yield f"| `edge-pipeline {name}` | {command.short_help if command else ''} |"
    help_text = subprocess.run(
        [sys.executable, "-m", "edge_runtime.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200"},
    ).stdout
    for name, text in re.findall(r"^ {4}([a-z][a-z-]*) +(\S.*)$", help_text, re.MULTILINE):
        yield f"| `edge-runtime {name}` | {text} |"


if __name__ == "__main__":
    sys.exit(main())
