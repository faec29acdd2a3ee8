"""A manifest that a stranger made large costs neither the time nor the memory of a small board."""

from collections.abc import Callable

import pytest
from device import models
from edge_runtime.bundle.json_reader import MAX_CONTAINERS, MAX_STRINGS, MAX_VALUES

BOARD_BYTES = 400_000_000
"""Memory that the largest manifest may take on a board of 512 MB, the packages included."""

MOST_WORK = 100
"""Processor time that the largest manifest may take, in readings of a million numbers by ``json``.

Both are measured in the same process: how busy and how fast the machine is changes neither."""

REFUSED_BYTES = 200_000_000
"""Memory that a refused manifest may take: its text, three times, and the interpreter."""

SCRIPT = """
import json, re, sys, time
import onnxruntime
from edge_runtime.bundle.manifest import Manifest
from edge_runtime.errors import IntegrityError
REFERENCE, REPETITIONS = "[" + "1," * 999_999 + "1]", 3
raw = open(sys.argv[1], "rb").read()
started = time.process_time()
try:
    Manifest.from_bytes(raw)
    outcome = "accepted"
except IntegrityError as error:
    outcome = str(error)
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
seconds = time.process_time() - started
started = time.process_time()
for _ in range(REPETITIONS):
    json.loads(REFERENCE)
reference = (time.process_time() - started) / REPETITIONS
print(int(peak) * 1024, seconds / reference, outcome)
"""


def manifest_with(field: bytes, content: bytes) -> bytes:
    """Put *content* in the place of the empty object of *field* in a healthy manifest."""
    raw = models.classifier().manifest.to_bytes()
    empty = b'"' + field + b'":{}'
    assert empty in raw
    return raw.replace(empty, b'"' + field + b'":' + content)


def many(item: bytes, count: int) -> bytes:
    return b'{"a":[' + b",".join([item] * count) + b"]}"


def names(count: int) -> bytes:
    return b"{" + b",".join(b'"%x":1' % i for i in range(count)) + b"}"


@pytest.mark.slow
@pytest.mark.native("an emulated process's memory is mostly QEMU's")
@pytest.mark.parametrize(
    ("content", "words", "limit"),
    [
        (many(b"[]", 5_000_000), "lists and objects", REFUSED_BYTES),
        (many(b"{}", 5_000_000), "lists and objects", REFUSED_BYTES),
        (many(b"0", 8_000_000), "values", REFUSED_BYTES),
        (many(b'""', 5_000_000), "strings", REFUSED_BYTES),
        (b'"ab' * 5_000_000, "strings", REFUSED_BYTES),
        (names(1_200_000), "values", BOARD_BYTES),
        (names(MAX_VALUES - 1_000), "accepted", BOARD_BYTES),
        (many(b"[]", MAX_CONTAINERS - 1_000), "names and numbers", BOARD_BYTES),
        (many(b"1.5", MAX_VALUES - 1_000), "names and numbers", BOARD_BYTES),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_large_manifest_fits_a_small_board(
    content: bytes,
    words: str,
    limit: int,
    in_new_process: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("manifest") / "manifest.json"
    path.write_bytes(manifest_with(b"metrics", content))
    peak, work, outcome = in_new_process(SCRIPT, path).split(maxsplit=2)
    assert words in outcome
    assert int(peak) < limit
    assert float(work) < MOST_WORK


def test_a_wide_table_keeps_within_the_limits() -> None:
    """Real manifests are far from the limits: 20,000 columns and ten golden rows of them."""
    columns, golden_rows, fields = 20_000, 10, 8
    assert columns * (golden_rows + 2 * fields) < MAX_VALUES
    assert columns * (2 * fields) < MAX_STRINGS
    assert columns * 4 < MAX_CONTAINERS
