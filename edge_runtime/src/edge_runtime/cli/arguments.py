"""Parse the arguments of the command ``edge-runtime``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any, NoReturn, get_args

import edge_runtime
from edge_runtime.bundle.manifest import METHODS
from edge_runtime.cli.console import printable
from edge_runtime.cli.model_names import bundle_path
from edge_runtime.engine.selection import ENGINES
from edge_runtime.inputs.tables import ExtraColumns

__all__ = ["parse"]

MAX_DIGITS = 17
"""Decimals of a number between 0 and 1 that float64 can hold."""

MAX_JOBS = 64
"""More processes than any small device has cores for."""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse *argv*; INPUT may stand before or after the options.

    Raises
    ------
    SystemExit
        argparse has printed the help, the version, or the reason of misuse.
    """
    parser = _parser()
    arguments, unparsed = parser.parse_known_args(argv)
    if (
        len(unparsed) == 1
        and not unparsed[0].startswith("-")
        and getattr(arguments, "input", "") == "-"
    ):
        # argparse gives an optional INPUT its default when an option follows FILE.
        arguments.input = unparsed[0]
    elif unparsed:
        from edge_runtime.cli.hints import option_hint

        parser = getattr(arguments, "parser", parser)
        hint = option_hint(unparsed[0], parser.format_usage())
        parser.error(f"unrecognized arguments: {' '.join(unparsed)}{hint}")
    return arguments


class _Parser(argparse.ArgumentParser):
    """Adds to its errors the choice that the user probably meant."""

    def error(self, message: str) -> NoReturn:
        from edge_runtime.cli.hints import with_choice_hint

        super().error(printable(with_choice_hint(message)))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="edge-runtime", description="Predict with a sealed scikit-learn model.")
    parser.add_argument("--version", action="version", version=edge_runtime.__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    info = _with_bundle(commands, "info", "print the manifest of a bundle")
    info.add_argument("--json", action="store_true", help="print JSON")
    _add_check(commands)
    _add_doctor(commands)
    _add_trust_commands(commands)
    _add_bench(commands)
    _add_predict(commands)
    _add_stream(commands)
    _add_serve(commands)
    return parser


def _with_bundle(commands: Any, name: str, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text)
    parser.set_defaults(command=name, parser=parser)
    parser.add_argument("file", metavar="FILE", type=bundle_path, help="the bundle, or its name")
    parser.add_argument(
        "--trust-store", metavar="FOLDER", help="trust the keys in this folder alone"
    )
    return parser


def _add_check(commands: Any) -> None:
    check = _with_bundle(
        commands, "check", "load a bundle, predict its golden rows again, print the result"
    )
    _add_engine(check)
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument(
        "--isolate",
        action="store_true",
        help="try the bundle in a child process first, within limits of memory and time",
    )


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor", help="check versions, onnxruntime and this machine, and say what to do"
    )
    doctor.set_defaults(command="doctor", parser=doctor)
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.add_argument(
        "--trust-store", metavar="FOLDER", help="trust the keys in this folder alone"
    )


def _add_bench(commands: Any) -> None:
    bench = _with_bundle(commands, "bench", "time a model here, against its limits")
    _add_engine(bench)
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
        commands, "predict", "predict every row of a table: CSV, JSON or Parquet"
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
    output = predict.add_mutually_exclusive_group()
    output.add_argument("--method", choices=METHODS, help="method to call (default: predict)")
    output.add_argument(
        "--proba", action="store_true", help="add the probability of every class to the prediction"
    )
    _add_number_options(predict)
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
        help="refuse or ignore columns that the model does not know (default: refuse)",
    )
    _add_engine(predict)
    _add_input_options(predict)


def _add_stream(commands: Any) -> None:
    stream = _with_bundle(
        commands, "stream", "predict samples as they come: WAV, raw PCM, CSV or JSON lines"
    )
    stream.add_argument(
        "input",
        metavar="INPUT",
        nargs="?",
        default="-",
        type=_file_name,
        help="samples; - or absent: standard input",
    )
    stream.add_argument(
        "--format",
        choices=("wav", "pcm", "csv", "jsonl"),
        help="of INPUT (default: by its name, else wav)",
    )
    stream.add_argument(
        "--pcm",
        choices=("u8", "s16", "s24", "s32"),
        default="s16",
        help="kind of the samples of raw PCM (default: s16)",
    )
    stream.add_argument(
        "--rate", type=_rate, metavar="HZ", help="of the source, to compare with that of training"
    )
    stream.add_argument(
        "--method", choices=METHODS, default="predict", help="method to call (default: predict)"
    )
    for name, help_text in (
        ("--majority", "predict the label of most of the last N windows (default: 1)"),
        ("--hysteresis", "change the label after N windows that have another (default: 1)"),
    ):
        stream.add_argument(name, type=_rows, default=1, metavar="N", help=help_text)
    stream.add_argument("--json", action="store_true", help="print JSON lines")
    _add_engine(stream)


def _add_number_options(predict: argparse.ArgumentParser) -> None:
    predict.add_argument("--json", action="store_true", help="print JSON lines")
    predict.add_argument(
        "--flags", action="store_true", help="add a column that names cells outside training"
    )
    predict.add_argument(
        "--digits",
        type=_digits,
        metavar="N",
        help="round to N decimals (default: exact)",
    )


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="library that computes (default: onnxruntime where it can be used, else numpy)",
    )


def _add_input_options(predict: argparse.ArgumentParser) -> None:
    predict.add_argument(
        "--format",
        choices=("csv", "jsonl", "parquet", "arrow"),
        help="of INPUT (default: by its name, else csv)",
    )
    predict.add_argument(
        "--encoding", type=_encoding, help="of INPUT (default: that of the training table)"
    )
    _add_marks(predict)
    predict.add_argument(
        "--chunk",
        type=_rows,
        default=1000,
        metavar="N",
        help="rows predicted at once (default: 1000)",
    )
    predict.add_argument(
        "--jobs", type=_jobs, default=1, metavar="N", help="processes that predict (default: 1)"
    )


def _add_marks(predict: argparse.ArgumentParser) -> None:
    """Add the switches that override the sealed reading."""
    predict.add_argument(
        "--separator", type=_separator, metavar="X", help="between cells (default: as in training)"
    )
    predict.add_argument(
        "--decimal", choices=(".", ","), help="decimal mark (default: as in training)"
    )
    predict.add_argument(
        "--thousands",
        type=_thousands,
        metavar="X",
        help="mark between thousands, or none (default: as in training)",
    )
    predict.add_argument(
        "--missing",
        action="append",
        metavar="TEXT",
        help="marks a missing value, besides NA and the like (default: as in training)",
    )
    predict.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns (default: as in training)",
    )


def _add_serve(commands: Any) -> None:
    from edge_runtime.cli.serve_arguments import add_serve_options

    serve = commands.add_parser("serve", help="answer HTTP requests with predictions")
    serve.set_defaults(command="serve", parser=serve)
    add_serve_options(serve)
    _add_engine(serve)


def _add_trust_commands(commands: Any) -> None:
    trust = commands.add_parser(
        "trust", help="choose the keys whose signatures this device accepts"
    )
    actions = trust.add_subparsers(metavar="ACTION", required=True)
    descriptions = {
        "add": ("trust a public key", "KEY.pem"),
        "list": ("print trusted and revoked keys", None),
        "remove": ("stop trusting a key", "KEYID"),
        "revoke": ("refuse whatever a key has signed", "KEYID"),
    }
    for action, (help_text, operand) in descriptions.items():
        command = actions.add_parser(action, help=help_text)
        command.set_defaults(command="trust", action=action, parser=command)
        if operand:
            command.add_argument("operand", metavar=operand)
        else:
            command.add_argument("--json", action="store_true", help="print JSON")
        folder = command.add_mutually_exclusive_group()
        folder.add_argument(
            "--trust-store", metavar="FOLDER", help="use this folder, not the default"
        )
        folder.add_argument("--system", action="store_true", help="use the folder of all users")


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


def _digits(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_DIGITS):
        raise argparse.ArgumentTypeError(f"expected 0 to {MAX_DIGITS} decimals, found {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected up to 3600 seconds, found {text!r}")
    return seconds


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"expected samples a second, found {text!r}")
    return rate


def _encoding(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, UnicodeError) as error:
        raise argparse.ArgumentTypeError(f"Python knows no encoding {name!r}") from error
    return name


def _separator(text: str) -> str:
    mark = {"tab": "\t", "\\t": "\t", "space": " "}.get(text, text)
    if len(mark) != 1 or mark.isalnum() or mark in '"\r\n':
        raise argparse.ArgumentTypeError(f"expected one character, or tab, found {text!r}")
    return mark


def _thousands(text: str) -> str:
    from edge_runtime.bundle.reading import THOUSANDS

    mark = {"none": "", "space": " "}.get(text, text)
    if mark not in ("", *THOUSANDS):
        raise argparse.ArgumentTypeError(
            f"expected one of {' '.join(THOUSANDS)!r}, or none, found {text!r}"
        )
    return mark
