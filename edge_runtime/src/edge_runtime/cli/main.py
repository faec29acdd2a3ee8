"""The command ``edge-runtime``: arguments in, exit code out; parses, calls the library, prints.

Exit codes: 0 done; 1 the bundle or some rows were refused, or the machine failed (disk full);
2 misuse.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TextIO, get_args

import edge_runtime
from edge_runtime.bundle.manifest import METHODS
from edge_runtime.cli.model_names import bundle_path
from edge_runtime.cli.notes import note, some_were_lost
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.inputs.tables import ExtraColumns

__all__ = ["main"]

MAX_JOBS = 64
"""More processes than that no small device has cores for."""

DONE, REFUSED, MISUSE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process when None.
    """
    code = _run(argv)
    if some_were_lost():
        _silence(sys.stderr)  # nothing can be said there; the exit code is what is left
        return code or REFUSED
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parsed(argv)
        command: Callable[[argparse.Namespace], int] = arguments.command
        if sys.stdout is None and _answers_on_stdout(arguments):
            return _refuse("standard output is closed, nobody would read the answer; open it")
        _wait_for_pipes()
        code = command(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as end:  # argparse has printed help, version or what was wrong
        return end.code if isinstance(end.code, int) else MISUSE
    except BrokenPipeError:
        # Whoever read our output has gone, and knows it: nothing to say.
        _silence(sys.stdout)
        return REFUSED
    except EdgeRuntimeError as error:
        from edge_runtime.cli.hints import in_words_of_the_command

        return _refuse(in_words_of_the_command(str(error)))
    except UnicodeDecodeError as error:
        return _refuse(f"the input is not {error.encoding}; name its --encoding")
    except UnicodeEncodeError as error:
        return _refuse(
            f"standard output is {error.encoding}, which lacks a letter; use -o or UTF-8"
        )
    except UnicodeError as error:  # utf-16 without a byte order mark, punycode
        return _refuse(f"the input cannot be decoded ({error}); name another --encoding")
    except OSError as error:
        _silence(sys.stdout)
        where = f": {error.filename}" if error.filename else ""
        return _refuse(f"{error.strerror or error}{where}")
    except MemoryError:
        return _refuse("not enough memory; try a smaller --chunk")
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments by name, whichever of INPUT and the options comes first."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if len(rest) == 1 and not rest[0].startswith("-") and getattr(arguments, "input", "") == "-":
        # argparse gives an optional INPUT its default as soon as an option follows FILE.
        arguments.input = rest[0]
    elif rest:
        from edge_runtime.cli.hints import for_option

        parser = getattr(arguments, "parser", parser)
        meant = for_option(rest[0], parser.format_usage())
        parser.error(f"unrecognized arguments: {' '.join(rest)}{meant}")
    return arguments


class _Parser(argparse.ArgumentParser):
    """Says which choice was nearly made."""

    def error(self, message: str) -> NoReturn:
        from edge_runtime.cli.hints import with_choice

        super().error(with_choice(message))


def _refuse(message: str) -> int:
    note(f"edge-runtime: {message}")
    return REFUSED


def _answers_on_stdout(arguments: argparse.Namespace) -> bool:
    """Whether the command does nothing but print; a change of the trust store is worth it mute."""
    if arguments.command is _predict:
        return arguments.output is None
    return arguments.command is not _trust or arguments.action == "list"


def _wait_for_pipes() -> None:
    """Make the standard streams blocking.

    A parent (node, asyncio) may leave them otherwise: then a pipe that is empty reads as its end,
    and of what a full one does not take the rest is lost.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        try:
            os.set_blocking(stream.fileno(), True)
        except (AttributeError, OSError, ValueError):  # closed, or no file, as in a test
            continue


def _silence(stream: TextIO | None) -> None:
    """Let what is still buffered go nowhere, or Python complains about it once more at exit."""
    if stream is None:
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # it is no file, as in a test
        return


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="edge-runtime", description="Predict with a sealed scikit-learn model.")
    parser.add_argument("--version", action="version", version=edge_runtime.__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    info = _with_bundle(commands, "info", _info, "print what a bundle says of itself")
    info.add_argument("--json", action="store_true", help="print JSON")
    _add_check(commands)
    _add_trust_commands(commands)
    _add_bench(commands)
    _add_predict(commands)
    return parser


def _with_bundle(
    commands: Any, name: str, command: Callable[[argparse.Namespace], int], told: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=told)
    parser.set_defaults(command=command, parser=parser)
    parser.add_argument("file", metavar="FILE", type=bundle_path, help="the bundle, or its name")
    parser.add_argument(
        "--trust-store", metavar="FOLDER", help="go by the keys in this folder alone"
    )
    return parser


def _add_check(commands: Any) -> None:
    check = _with_bundle(
        commands, "check", _check, "replay the golden rows and print what that proves"
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument(
        "--isolate",
        action="store_true",
        help="let a process of its own try the bundle first, within limits of memory and time",
    )


def _add_bench(commands: Any) -> None:
    bench = _with_bundle(commands, "bench", _bench, "time a model here, against its limits")
    bench.add_argument("--json", action="store_true", help="print JSON")
    bench.add_argument(
        "--rows", type=_rows, default=1000, metavar="N", help="largest batch (default: 1000)"
    )
    bench.add_argument(
        "--seconds",
        type=_seconds,
        default=1.0,
        metavar="S",
        help="time spent on each size (default: 1)",
    )


def _add_predict(commands: Any) -> None:
    predict = _with_bundle(
        commands, "predict", _predict, "answer every row of a CSV or JSON lines stream"
    )
    predict.add_argument(
        "input",
        metavar="INPUT",
        nargs="?",
        default="-",
        type=_file_name,
        help="rows; - or absent: standard input",
    )
    predict.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=_output_name,
        help="file to write, whole or not at all; -: standard output",
    )
    what = predict.add_mutually_exclusive_group()
    what.add_argument("--method", choices=METHODS, help="method to ask (default: predict)")
    what.add_argument(
        "--proba", action="store_true", help="add the probability of every class to the prediction"
    )
    predict.add_argument("--json", action="store_true", help="print JSON lines")
    predict.add_argument(
        "--errors",
        metavar="FILE",
        type=_errors_name,
        help="write refused rows here as JSON lines, not to stderr",
    )
    predict.add_argument(
        "--extra-columns",
        choices=get_args(ExtraColumns),
        default="refuse",
        help="what to do with a column that the model does not know (default: refuse)",
    )
    _add_reading(predict)


def _add_reading(predict: argparse.ArgumentParser) -> None:
    predict.add_argument(
        "--format", choices=("csv", "jsonl"), help="of INPUT (default: by its name, else csv)"
    )
    predict.add_argument(
        "--encoding", type=_encoding, default="utf-8-sig", help="of INPUT (default: UTF-8)"
    )
    predict.add_argument(
        "--chunk",
        type=_rows,
        default=1000,
        metavar="N",
        help="rows answered at once (default: 1000)",
    )
    predict.add_argument(
        "--jobs", type=_jobs, default=1, metavar="N", help="processes that answer (default: 1)"
    )


def _add_trust_commands(commands: Any) -> None:
    trust = commands.add_parser("trust", help="say whose signatures count on this device")
    actions = trust.add_subparsers(metavar="ACTION", required=True)
    told = {
        "add": ("trust a public key", "KEY.pem"),
        "list": ("print trusted and revoked keys", None),
        "remove": ("trust a key no more", "KEYID"),
        "revoke": ("refuse whatever a key has signed", "KEYID"),
    }
    for action, (what, operand) in told.items():
        command = actions.add_parser(action, help=what)
        command.set_defaults(command=_trust, action=action, parser=command)
        if operand:
            command.add_argument("operand", metavar=operand)
        else:
            command.add_argument("--json", action="store_true", help="print JSON")
        where = command.add_mutually_exclusive_group()
        where.add_argument("--trust-store", metavar="FOLDER", help="this folder, not the default")
        where.add_argument("--system", action="store_true", help="the folder of all users")


def _trust(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli import trust

    store = trust.store_of(arguments.trust_store, system=arguments.system)
    match arguments.action:
        case "add":
            return trust.add(arguments.operand, store)
        case "remove":
            return trust.remove(arguments.operand, store)
        case "revoke":
            return trust.revoke(arguments.operand, store)
    return trust.print_keys(store, as_json=arguments.json)


def _info(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli.info import print_info

    return print_info(arguments.file, as_json=arguments.json, store=arguments.trust_store)


def _check(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli.info import print_check

    return print_check(
        arguments.file,
        as_json=arguments.json,
        store=arguments.trust_store,
        isolate=arguments.isolate,
    )


def _bench(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli.bench import print_bench

    return print_bench(
        arguments.file,
        as_json=arguments.json,
        rows=arguments.rows,
        seconds=arguments.seconds,
        store=arguments.trust_store,
    )


def _predict(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli.predict import Job, predict

    return predict(
        Job(
            bundle=arguments.file,
            trust_store=arguments.trust_store,
            source=arguments.input,
            target=arguments.output,
            errors=arguments.errors,
            method=arguments.method,
            proba=arguments.proba,
            format=arguments.format or _format_of(arguments.input),
            as_json=arguments.json,
            extra_columns=arguments.extra_columns,
            chunk_rows=arguments.chunk,
            encoding=arguments.encoding,
            jobs=arguments.jobs,
        )
    )


def _format_of(name: str) -> str:
    return "jsonl" if name.lower().endswith((".jsonl", ".ndjson", ".json")) else "csv"


def _file_name(name: str) -> str:
    if not name:
        raise argparse.ArgumentTypeError("expected the name of a file, found an empty one")
    return name


def _output_name(name: str) -> str | None:
    return None if name == "-" else _file_name(name)


def _errors_name(name: str) -> str:
    if name == "-":
        raise argparse.ArgumentTypeError(
            "expected the name of a file, found '-'; without --errors they go to standard error"
        )
    return _file_name(name)


def _rows(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"expected 1 to 1000000 rows, found {text!r}")
    return int(text)


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_JOBS):
        raise argparse.ArgumentTypeError(f"expected 1 to {MAX_JOBS} processes, found {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected up to 3600 seconds, found {text!r}")
    return seconds


def _encoding(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, UnicodeError) as error:
        raise argparse.ArgumentTypeError(f"Python knows no encoding {name!r}") from error
    import codecs

    # Its byte order mark belongs to no column's name, whoever names the encoding.
    return "utf-8-sig" if codecs.lookup(name).name == "utf-8" else name
