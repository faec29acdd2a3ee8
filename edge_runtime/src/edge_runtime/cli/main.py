"""Run the command ``edge-runtime``, and turn errors into messages and exit codes.

Exit codes: 0 success; 1 the bundle or some rows were refused, or the machine failed (disk full);
2 misuse; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TextIO

from edge_runtime.cli.arguments import parse
from edge_runtime.cli.console import any_note_lost, note
from edge_runtime.errors import EdgeRuntimeError

__all__ = ["main"]

REFUSED, MISUSE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process when None.
    """
    code = _run(argv)
    if any_note_lost():
        _silence(sys.stderr)  # no message can be printed; only the exit code shows the failure
        return code or REFUSED
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = parse(argv)
        if sys.stdout is None and _needs_stdout(arguments):
            return _refuse("standard output is closed, nobody would read the result; open it")
        _make_streams_blocking()
        with warnings.catch_warnings():
            warnings.showwarning = _note_warning
            code = _COMMANDS[arguments.command](arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as error:  # argparse has printed help, version or an error
        return error.code if isinstance(error.code, int) else MISUSE
    except BrokenPipeError:
        # The reader of our output has gone.
        _silence(sys.stdout)
        return REFUSED
    except EdgeRuntimeError as error:
        from edge_runtime.cli.hints import in_words_of_the_command, swapped_arguments_hint

        hint = swapped_arguments_hint(error, argv)
        return _refuse(in_words_of_the_command(str(error)) + hint)
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
        path = f": {error.filename}" if error.filename else ""
        return _refuse(f"{error.strerror or error}{path}")
    except (ImportError, MemoryError) as error:
        from edge_runtime_startup import explain_import_error

        return _refuse(explain_import_error(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _refuse(message: str) -> int:
    note(f"edge-runtime: {message}")
    return REFUSED


def _note_warning(message: Warning | str, *_: object, **__: object) -> None:
    note(f"edge-runtime: note: {message}")


def _needs_stdout(arguments: argparse.Namespace) -> bool:
    """Return whether the command does nothing but print."""
    if arguments.command == "predict":
        return arguments.output is None
    if arguments.command == "serve":
        return False
    return arguments.command != "trust" or bool(arguments.action == "list")


def _make_streams_blocking() -> None:
    """Make the standard streams blocking.

    A parent (node, asyncio) may have made them non-blocking.  Then an empty pipe looks like the end
    of the input, and a full pipe loses output.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        try:
            os.set_blocking(stream.fileno(), True)
        except (AttributeError, OSError, ValueError):  # closed, or no file, as in a test
            continue


def _silence(stream: TextIO | None) -> None:
    """Discard what is still buffered, or Python prints a second error at exit."""
    if stream is None:
        return
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)
    except (OSError, ValueError):  # a stream in memory, as in a test
        return


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
    from edge_runtime.cli.check import print_check

    return print_check(
        arguments.file,
        as_json=arguments.json,
        store=arguments.trust_store,
        isolate=arguments.isolate,
        engine=arguments.engine,
    )


def _doctor(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli.doctor import print_doctor

    return print_doctor(as_json=arguments.json, store=arguments.trust_store)


def _bench(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli.bench import print_bench

    return print_bench(
        arguments.file,
        as_json=arguments.json,
        rows=arguments.rows,
        seconds=arguments.seconds,
        store=arguments.trust_store,
        engine=arguments.engine,
    )


def _predict(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli.predict import PredictOptions, predict
    from edge_runtime.cli.reading_options import ReadingOptions, format_of

    return predict(
        PredictOptions(
            bundle=arguments.file,
            trust_store=arguments.trust_store,
            source=arguments.input,
            target=arguments.output,
            errors=arguments.errors,
            method=arguments.method,
            proba=arguments.proba,
            format=arguments.format or format_of(arguments.input),
            as_json=arguments.json,
            extra_columns=arguments.extra_columns,
            chunk_rows=arguments.chunk,
            reading=ReadingOptions(
                separator=arguments.separator,
                decimal=arguments.decimal,
                thousands=arguments.thousands,
                encoding=arguments.encoding,
                missing=arguments.missing,
                has_header=arguments.header,
            ),
            jobs=arguments.jobs,
            flags=arguments.flags,
            digits=arguments.digits,
            engine=arguments.engine,
        )
    )


def _serve(arguments: argparse.Namespace) -> int:
    from edge_runtime.service.command import ServeOptions, serve  # ADR 0017
    from edge_runtime.service.limits import ServiceLimits

    names = ServiceLimits.__dataclass_fields__
    limits = {n: v for n, v in vars(arguments).items() if n in names and v is not None}
    return serve(
        ServeOptions(
            models=arguments.files,
            folder=arguments.models,
            host=arguments.host,
            port=arguments.port,
            unix=arguments.unix,
            token_file=arguments.token_file,
            trust_store=arguments.trust_store,
            engine=arguments.engine,
            log_requests=arguments.request_log,
            watch=arguments.watch,
            limits=ServiceLimits(**limits),
        )
    )


def _stream(arguments: argparse.Namespace) -> int:
    from edge_runtime.cli.stream import StreamOptions, print_stream

    return print_stream(
        StreamOptions(
            bundle=arguments.file,
            source=arguments.input,
            format=arguments.format,
            pcm=arguments.pcm,
            rate=arguments.rate,
            method=arguments.method,
            majority=arguments.majority,
            hysteresis=arguments.hysteresis,
            as_json=arguments.json,
            trust_store=arguments.trust_store,
            engine=arguments.engine,
        )
    )


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "info": _info,
    "check": _check,
    "doctor": _doctor,
    "trust": _trust,
    "bench": _bench,
    "predict": _predict,
    "stream": _stream,
    "serve": _serve,
}
