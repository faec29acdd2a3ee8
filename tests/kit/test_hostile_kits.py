"""Archives that are made to harm the build machine are refused as kits."""

import gzip
import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from edge_pipeline.errors import KitError
from edge_pipeline.packaging.kit.archive import pack, read_kit

METADATA = dict.fromkeys(("name", "board", "machine", "python", "runtime_id"), "x") | {"format": 1}


def archive_with(path: Path, entry: tarfile.TarInfo, content: bytes = b"") -> Path:
    """Write an archive with one entry."""
    entry.size = len(content)
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(content))
    return path


SPARSE = [
    {"GNU.sparse.map": "x,y"},
    {"GNU.sparse.map": "0"},
    {"GNU.sparse.map": "0,9" * 500},
    {"GNU.sparse.size": "x"},
    {"GNU.sparse.size": "99999999999", "GNU.sparse.map": "0,1"},
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"},
    {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "../x"},
    {"size": "-5"},
    {"size": "x"},
    {"mtime": "x", "uid": "9" * 5000},
    {"path": "x-kit/../../x"},
]


@pytest.mark.parametrize("headers", SPARSE)
def test_a_kit_with_strange_headers_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    entry = tarfile.TarInfo("x-kit/kit.json")
    entry.pax_headers = headers
    with pytest.raises(KitError):
        read_kit(archive_with(tmp_path / "kit.tar.gz", entry, b"{}\n" * 200))


@pytest.mark.parametrize("kind", [*b"S123456xgLK"])
def test_an_entry_that_is_not_a_plain_file_is_refused(tmp_path: Path, kind: int) -> None:
    entry = tarfile.TarInfo("x-kit/kit.json")
    entry.type = bytes([kind])
    entry.linkname = "/etc/passwd"
    with pytest.raises(KitError):
        read_kit(archive_with(tmp_path / "kit.tar.gz", entry, b"{}\n" * 200))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x-kit/a.bin", "pax header", "long name"])
def test_a_small_kit_cannot_take_much_memory(tmp_path: Path, name: str) -> None:
    """A gigabyte of zeros has a megabyte when packed; also where a header claims to be so long."""
    entry = tarfile.TarInfo("x-kit/a.bin")
    entry.type = {"pax header": tarfile.XHDTYPE, "long name": tarfile.GNUTYPE_LONGNAME}.get(
        name, tarfile.REGTYPE
    )
    entry.size = 1024**3
    path = tmp_path / "kit.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(entry.tobuf())
        for _ in range(1024):
            stream.write(bytes(1024**2))
    tracemalloc.start()
    with pytest.raises(KitError, match="unpacks to more bytes"):
        read_kit(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * 1024**2


@pytest.mark.parametrize("size_mb", [60, 100])
def test_a_kit_may_compress_well(tmp_path: Path, size_mb: int) -> None:
    parts = {"kit.json": json.dumps(METADATA).encode(), "a.bin": bytes(size_mb * 1024**2)}
    path = pack(parts, "x-kit", tmp_path / "kit.tar.gz")
    assert read_kit(path).parts["a.bin"] == parts["a.bin"]
