"""Provide what is fuzzed: each target reads bytes of a stranger, and may raise our errors only.

``tools/fuzz.py`` searches for inputs that break a target, ``tests/fuzz`` replays the corpus.  A
target returns a short text for what happened to the input; inputs that lead to new texts are kept.
"""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import re
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from device import models
from device.hostile import TREE_OPSETS, body, described, loop, model, trees
from device.sealing import sealed
from device.tiny_onnx import tensor
from edge_runtime.bundle.layout import unpack
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.bundle.seal import SEAL_ENTRY_BYTES
from edge_runtime.cli import arguments as command_arguments
from edge_runtime.cli import predict as predict_command
from edge_runtime.cli.main import main
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.graph_safety.rules import scan
from edge_runtime.trust.keys import TrustStore
from edge_runtime.vectorizers.pattern_safety import compile_safely

import edge_runtime

CORPUS = Path(__file__).parent / "data" / "fuzz"

# To make the parser of the arguments takes longer than to read a stream.
_parser = functools.cache(command_arguments._parser)

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Target:
    """Reads one input, and says what happened; ``seeds`` are the first inputs."""

    read: Callable[[bytes], str]
    seeds: list[bytes]

    def outcome(self, raw: bytes) -> str:
        """Give the error's class and first words, without numbers; or what ``read`` returned."""
        try:
            return self.read(raw)
        except EdgeRuntimeError as error:
            return _skeleton(error)


def file_target() -> Target:
    """A whole file: its digest is that of its bytes, or it is refused."""

    def read(raw: bytes) -> str:
        bundle = unpack(raw)
        # The fuzzer learns to seal again: it sees the digest that is compared.
        assert bundle.seal.sha256 == hashlib.sha256(raw[:-SEAL_ENTRY_BYTES]).hexdigest()
        return "read"

    return Target(read, [parts.sealed() for parts in _healthy()])


def graph_target() -> Target:
    """The scan of a graph, with and without the operators of trees."""
    manifests = [described(), described(TREE_OPSETS)]

    def read(raw: bytes) -> str:
        scan(raw, manifests[len(raw) % 2])
        return "accepted"

    looped = model([loop("n", body())], initializers=[tensor("n", 3)], opsets=TREE_OPSETS)
    tree = model([trees([1, 2, 0], [0, 0, 1])], opsets=TREE_OPSETS)
    return Target(read, [looped, tree, *(parts.graph for parts in _healthy())])


def manifest_target() -> Target:
    """The text of a manifest; if it is read, it is sealed to a graph, loaded and printed."""
    graphs = {parts.manifest.schema.kind: parts.graph for parts in _healthy()}

    def read(raw: bytes) -> str:
        manifest = Manifest.from_bytes(raw)
        assert Manifest.from_bytes(manifest.to_bytes()) == manifest
        graph = graphs.get(manifest.schema.kind, graphs["array"])
        with tempfile.NamedTemporaryFile(suffix=".onnx", dir=_memory()) as file:
            file.write(sealed(graph, raw))
            file.flush()
            codes = [_command(["info", file.name, *more])[0] for more in ([], ["--json"])]
            with edge_runtime.load(file.name) as loaded:
                assert repr(loaded)
                assert loaded._repr_html_()
        return f"loaded {codes}"

    return Target(read, [parts.manifest.to_bytes() for parts in _healthy()])


def rows_target() -> Target:
    """Tables and rows of any Python objects; one row is answered as a table of one row."""
    loaded = [edge_runtime.load(parts.sealed()) for parts in _healthy()]

    def read(raw: bytes) -> str:
        value = ObjectReader(raw[1:]).read()
        chosen = loaded[raw[0] % len(loaded) if raw else 0]
        table, table_error = _attempt(lambda: np.asarray(chosen.predict([value])).tolist())
        single, single_error = _attempt(lambda: np.asarray(chosen.predict_one(value)).tolist())
        if not table_error and not single_error:
            assert repr(table[0]) == repr(single), (table, single)
        whole, error = _attempt(lambda: len(chosen.predict(value)))
        flags, _ = _attempt(lambda: len(chosen.check_rows(value)))
        assert flags is None or whole is None or flags == whole
        return f"{table_error} {single_error} {error}"

    seeds = [
        bytes([0, 7, 3, 2, 1, 2, 2, 2, 3]),
        bytes([1, 8, 1, 0, 2, 1]),
        b"\2\6\4spam",
        b"\3\7\0",
    ]
    return Target(read, seeds)


def csv_target() -> Target:
    """A stream of CSV; the first byte chooses the model."""
    good = [b"\0x0,x1,x2\n1,2,3\n-1,0.5,0\n", b'\2text\nspam\n"a\n,b"\n']
    good.append(b"\1height,city,children,smoker,street\n1.5,Paris,2,True,Rue A\n,,0,false,x\n")
    return Target(_stream_reader("csv"), good)


def json_lines_target() -> Target:
    """A stream of JSON lines; the first byte chooses the model."""
    good = [b'\0{"x0": 1, "x1": 2.5, "x2": -3}\n[1, 2, 3]\n', b'\2"spam"\n{"text": "ham"}\n']
    good.append(
        b'\1{"height": null, "city": "Oslo", "children": 1, "smoker": true, "street": ""}\n'
    )
    return Target(_stream_reader("jsonl"), good)


def kit_target() -> Target:
    """The archive of a kit: a tar, or the JSON of its metadata."""
    from edge_pipeline.errors import KitError
    from edge_pipeline.packaging.kit.archive import pack as pack_kit
    from edge_pipeline.packaging.kit.archive import read_kit

    folder = Path(tempfile.mkdtemp(dir=_memory()))
    path = folder / "kit.tar.gz"
    metadata = dict.fromkeys(("name", "board", "machine", "python", "runtime_id"), "x")
    text = json.dumps({**metadata, "format": 1, "need_kb": 3}).encode()
    pack_kit({"kit.json": text, "wheels/a.whl": b"PK\3\4", "install.sh": b"#!"}, "x-kit", path)
    tar = gzip.decompress(path.read_bytes())

    def read(raw: bytes) -> str:
        if raw.startswith(b"{"):
            pack_kit({"kit.json": raw}, "x-kit", path)
        else:
            path.write_bytes(raw if raw[:2] == b"\x1f\x8b" else gzip.compress(raw, 0))
        try:
            contents = read_kit(path)
        except KitError as error:
            return _skeleton(error)
        return f"read {len(contents.parts)} {contents.need_kb > 0}"

    return Target(read, [tar, tar.rstrip(b"\0"), path.read_bytes(), text])


def trust_target() -> Target:
    """A folder of keys: its files are cut at NUL bytes; the second is the list of revocations."""
    folder = Path(tempfile.mkdtemp(dir=_memory()))
    names = ("a.pem", "revoked.txt", "b.pem", "c.txt")

    def read(raw: bytes) -> str:
        for name, content in zip(names, [*raw.split(b"\0"), b"", b"", b"", b""], strict=False):
            (folder / name).write_bytes(content)
            if not content:
                (folder / name).unlink()
        code, _ = _command(["trust", "list", "--trust-store", str(folder)])
        keys = TrustStore(folder).read()
        return f"{code} {len(keys.keys)} {len(keys.revoked)}"

    body_text = b"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    pem = b"-----BEGIN PUBLIC KEY-----\n" + body_text + b"\n-----END PUBLIC KEY-----\n"
    return Target(read, [pem, pem + b"\x0021fe31dfa154a261 # stolen\n\0" + pem, b"\0\n# none\n"])


def pattern_target() -> Target:
    """A token pattern; one that is accepted reads texts that invite it to backtrack."""

    def read(raw: bytes) -> str:
        pattern = raw.decode("utf-8", "surrogateescape")
        compiled = compile_safely(pattern)
        letters = [letter for letter in dict.fromkeys(pattern) if letter.isprintable()][:8]
        for text in ("a" * 400, "a1 " * 130, "".join(letters) * 50, *(c * 300 for c in letters)):
            compiled.findall(text + "!")
        return "accepted"

    return Target(read, [rb"(?u)\b\w\w+\b", rb"[a-z]+(?:-[a-z]+)*", rb"(a+)+b", rb"\d{2,4}|\S+?x"])


TARGETS: dict[str, Callable[[], Target]] = {
    "file": file_target,
    "graph": graph_target,
    "manifest": manifest_target,
    "rows": rows_target,
    "csv": csv_target,
    "jsonl": json_lines_target,
    "kit": kit_target,
    "trust": trust_target,
    "pattern": pattern_target,
}


def _healthy() -> list[models.Parts]:
    return [models.classifier(), models.mixed(), models.text(), models.regressor(gaps=True)]


def _memory() -> str | None:
    """Return a folder in memory, for files that are written for every input."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _skeleton(error: Exception) -> str:
    """Return an error's class and first words, without quoted texts, paths and numbers."""
    words = re.sub(r"'[^']*'|\"[^\"]*\"|/[\w/.]+|[0-9]+|[^ -~]", "", str(error))
    return f"{type(error).__name__}: {words[:40]}"


def _attempt(call: Callable[[], Any]) -> tuple[Any, str]:
    """Give the result, and the name of the error."""
    try:
        return call(), ""
    except EdgeRuntimeError as error:
        return None, _skeleton(error)


def _command(arguments: list[str], stdin: bytes = b"") -> tuple[int, str]:
    """Run a command of the device; give its exit code and its output.

    No command may print a control character of a stranger's text.
    """
    output, errors = io.StringIO(), io.StringIO()
    source = io.TextIOWrapper(io.BytesIO(stdin))
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        mock.patch.object(sys, "stdin", source),
        mock.patch.object(command_arguments, "_parser", _parser),
    ):
        code = main(arguments)
    assert code in (0, 1), errors.getvalue()
    assert not _CONTROLS.search(errors.getvalue()), errors.getvalue()
    if arguments[0] != "predict":
        assert not _CONTROLS.search(output.getvalue()), output.getvalue()
    return code, output.getvalue()


def _stream_reader(stream_format: str) -> Callable[[bytes], str]:
    """Predict a stream in chunks of one row and of many; both must give the same output."""
    loaded = [edge_runtime.load(parts.sealed()) for parts in _healthy()[:3]]

    def already_loaded(name: str, **_: Any) -> Any:
        return loaded[int(name)]

    def read(raw: bytes) -> str:
        chosen = str(raw[0] % len(loaded)) if raw else "0"
        runs = []
        for chunk in ("1", "7", "1000"):
            options = ["--format", stream_format, "--chunk", chunk, "--errors", _errors_file()]
            with (
                mock.patch.object(predict_command, "load", already_loaded),
                mock.patch.object(edge_runtime.Model, "__exit__", return_value=None),
            ):
                code, output = _command(["predict", chosen, "-", *options], raw[1:])
            runs.append((code, output, Path(_errors_file()).read_bytes()))
        assert runs[0] == runs[1] == runs[2], runs
        code, output, refusals = runs[0]
        words = sorted({re.sub("[^a-z ]", "", json.loads(r)["message"])[:20]
                        for r in refusals.decode().splitlines()})  # fmt: skip
        return f"{code} {min(output.count(chr(10)), 4)} {words[:3]}"

    return read


def _errors_file() -> str:
    return f"{_FOLDER.name}/errors"


_FOLDER = tempfile.TemporaryDirectory(dir=_memory())


class ObjectReader:
    """Makes a Python object of bytes: each byte chooses a class, the next ones its value."""

    def __init__(self, raw: bytes) -> None:
        self._raw = io.BytesIO(raw)

    def read(self, depth: int = 0) -> Any:
        """Make the next object."""
        number = (self._raw.read(1) or b"\0")[0]
        makers = _SCALARS if depth > 4 else _SCALARS + _CONTAINERS
        return makers[number % len(makers)](self, depth)

    def floating(self) -> float:
        """Read a float64 of eight bytes."""
        return float(struct.unpack("<d", self._raw.read(8).ljust(8, b"\0"))[0])

    def small(self) -> int:
        """Read a number below 256."""
        return (self._raw.read(1) or b"\0")[0]

    def text(self) -> str:
        """Read a text of at most 15 bytes."""
        return self._raw.read(self.small() % 16).decode("utf-8", "surrogateescape")

    def items(self, depth: int) -> list[Any]:
        """Read at most seven objects."""
        return [self.read(depth + 1) for _ in range(self.small() % 8)]

    def key(self) -> Any:
        """Read a column's name, mostly."""
        names = ("x0", "x1", "x2", "height", "city", "children", "smoker", "street", "text", 0)
        number = self.small()
        return names[number % 10] if number < 250 else self.text()


_Maker = Callable[[ObjectReader, int], Any]
_SCALARS: tuple[_Maker, ...] = (
    lambda reader, _: None,
    lambda reader, _: reader.small() % 2 == 1,
    lambda reader, _: reader.small() - 100,
    lambda reader, _: reader.floating(),
    lambda reader, _: 7 ** reader.small(),
    lambda reader, _: complex(reader.small(), reader.floating()),
    lambda reader, _: reader.text(),
    lambda reader, _: reader.text().encode("utf-8", "surrogateescape"),
    lambda reader, _: np.float32(reader.small() / 7),
    lambda reader, _: np.array(reader.floating()),
    lambda reader, _: np.datetime64("NaT") if reader.small() % 2 else np.timedelta64(3, "D"),
    lambda reader, _: np.str_(reader.text()),
    lambda reader, _: Decimal(["NaN", "sNaN", "1E9999", "-0", "Infinity"][reader.small() % 5]),
    lambda reader, _: [date(2024, 2, 29), datetime(1970, 1, 1)][reader.small() % 2],
    lambda reader, _: [object(), ..., NotImplemented, int, np.ma.masked][reader.small() % 5],
    lambda reader, _: range(reader.small() % 5),
)
_CONTAINERS: tuple[_Maker, ...] = (
    lambda reader, depth: reader.items(depth),
    lambda reader, depth: tuple(reader.items(depth)),
    lambda reader, depth: {reader.key(): reader.read(depth + 1) for _ in range(reader.small() % 8)},
    lambda reader, depth: iter(reader.items(depth)),
    lambda reader, depth: np.array([str(item) for item in reader.items(depth)]),
    lambda reader, _: np.ones((reader.small() % 4, reader.small() % 5)) * reader.floating(),
    lambda reader, _: np.ones(reader.small() % 4, dtype="ebdOUM"[reader.small() % 4]),
    lambda reader, _: np.zeros((2, 3), dtype=[("x0", "f8"), ("x1", "i4")]),
    lambda reader, _: np.ma.masked_array([[1.0, 2.0, 3.0]], mask=reader.small() % 2 == 1),
    lambda reader, depth: set(map(str, reader.items(depth))),
)
