"""Define a click group that imports commands lazily, suggests names, and prints errors in one line.

Expected errors end with exit code 1.  A log file keeps the traceback of the last failure.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple

import click

from edge_pipeline.errors import EdgePipelineError

__all__ = ["BUG", "INTERRUPTED", "LazyGroup", "Refusal", "is_verbose", "run", "write_log"]

REFUSED, BUG, INTERRUPTED = 1, 3, 130
"""Exit codes besides 0 (done) and 2 (misuse, from click)."""

LOG_NAME = "last-failure.log"


class _LazyCommand(NamedTuple):
    module: str
    attribute: str
    short_help: str


class Refusal(click.ClickException):
    """An expected error: one line on stderr, exit code 1."""

    exit_code = REFUSED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, with a red label on a terminal."""
        _print_error("Error:", self.format_message())


def _print_error(label: str, message: str) -> None:
    text = f"{click.style(label, fg='red', bold=True)} {message}"
    # No click context exists any more that would know NO_COLOR.
    click.echo(text, err=True, color=False if os.environ.get("NO_COLOR") else None)


class LazyGroup(click.Group):
    """A group that imports commands when they run, and suggests the name of a misspelt one."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._lazy_commands: dict[str, _LazyCommand] = {}

    def add_lazy(self, name: str, path: str, short_help: str) -> None:
        """Register *name*, to be imported from *path*, ``module:attribute``, when it runs."""
        module, _, attribute = path.partition(":")
        self._lazy_commands[name] = _LazyCommand(module, attribute, short_help)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List every command, imported or not."""
        return sorted({*super().list_commands(ctx), *self._lazy_commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, imported if necessary."""
        lazy = self._lazy_commands.get(cmd_name)
        if lazy is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(lazy.module), lazy.attribute)
        if not any(option.name == "debug" for option in command.params):
            command.params += [_VERBOSE, _DEBUG]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = [
            (name, self._lazy_commands[name].short_help)
            if name in self._lazy_commands
            else (name, self.commands[name].get_short_help_str(80))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest a similar name."""
        name = args[0] if args else ""
        names = self.list_commands(ctx)
        if name and name not in names and not name.startswith("-"):
            near = get_close_matches(name, names, 1, 0.5)
            guess = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names)}."
            raise click.UsageError(f"No such command {name!r}. {guess}", ctx)
        return super().resolve_command(ctx, args)

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        """Make the context, without colours if NO_COLOR is set (no-color.org)."""
        if os.environ.get("NO_COLOR"):
            extra.setdefault("color", False)
        return super().make_context(*arguments, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn expected errors into one line and exit code 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except (BrokenPipeError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click ends quietly, as `edge-pipeline inspect ... | head` should
        except OSError as error:
            # str() would put the errno in front.
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise _to_refusal(ctx, error, reason) from error
        except Exception as error:
            if not isinstance(error, _expected_errors()):
                raise
            raise _to_refusal(ctx, error, str(error)) from error


def is_verbose() -> bool:
    """Whether the current command was called with ``--verbose``."""
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().meta.get("edge_pipeline.verbose"))


def write_log(name: str, lines: Iterable[str]) -> Path | None:
    """Write a log under *name* in the state folder; return None if no file can be written."""
    folder = _state_folder()
    if folder is None:
        return None
    head = [time.strftime("%Y-%m-%d %H:%M:%S %z"), f"command: {' '.join(sys.argv)}"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / name
        text = "\n".join([*head, *_versions(), "", *lines, ""])
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    return file


def _store_flag(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.find_root().meta[f"edge_pipeline.{parameter.name}"] = value
    if value and parameter.name == "verbose":
        click.echo(", ".join(_versions()), err=True)


_VERBOSE = click.Option(
    ["--verbose"],
    is_flag=True,
    expose_value=False,
    callback=_store_flag,
    help="Also print versions, numerical details, and the path of the log after a failure.",
)
_DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    callback=_store_flag,
    help="Show the traceback of an error.",
)


def run(group: click.Group, name: str) -> None:
    """Run the command line and exit; report an unexpected error in two lines and in the log."""
    try:
        group(prog_name=name)
    except Exception as error:
        if "--debug" in sys.argv[1:]:
            raise
        _print_error("Bug:", f"{type(error).__name__}: {error}")
        log = _write_log(error)
        hint = f"the traceback is in {log}" if log else "run it again with --debug"
        click.echo(f"This is a bug of {name}, please report it; {hint}", err=True)
        sys.exit(BUG)


def _expected_errors() -> tuple[type[Exception], ...]:
    """List the expected errors; importing edge_runtime and numpy here keeps the start fast."""
    from edge_runtime.errors import EdgeRuntimeError

    return (EdgePipelineError, EdgeRuntimeError)


def _to_refusal(ctx: click.Context, error: Exception, reason: str) -> Refusal:
    meta = ctx.find_root().meta
    if meta.get("edge_pipeline.debug"):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    log = _write_log(error)
    if log and meta.get("edge_pipeline.verbose"):
        click.echo(f"log of this failure: {log}", err=True)
    return Refusal(reason)


def _write_log(error: BaseException) -> Path | None:
    """Write the log of a failure; return None if no file can be written."""
    return write_log(LOG_NAME, _failure_lines(error))


def _state_folder() -> Path | None:
    """Return the folder for logs (``XDG_STATE_HOME`` of the XDG Base Directory 0.8)."""
    configured = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(configured):
        return Path(configured) / "edge-pipeline"
    try:
        return Path.home() / ".local/state/edge-pipeline"
    except RuntimeError:  # the user has no home folder
        return None


def _versions() -> Iterable[str]:
    from importlib.metadata import PackageNotFoundError, version

    yield f"Python {platform.python_version()}"
    for name in ("edge-pipeline", "edge-runtime", "scikit-learn", "numpy", "onnx", "onnxruntime"):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name}: not installed"


def _failure_lines(error: BaseException) -> Iterable[str]:
    yield f"folder: {Path.cwd()}"
    yield f"system: {platform.platform()}"
    yield ""
    yield "".join(traceback.format_exception(error))
