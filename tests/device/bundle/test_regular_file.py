"""Paths that name a pipe or an endless device are refused at once, wherever a file is read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from edge_runtime.bundle.regular_file import read_regular
from edge_runtime.trust.keys import TrustStore, read_key_file

import edge_runtime
from edge_runtime import NotABundleError, TrustError


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe.pem"
    os.mkfifo(path)
    return path


def test_a_pipe_is_no_bundle(pipe: Path) -> None:
    with pytest.raises(NotABundleError, match="no regular file; expected a bundle"):
        edge_runtime.load(pipe)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_bundle(name: str) -> None:
    with pytest.raises(NotABundleError, match="no regular file"):
        edge_runtime.load(name)


def test_a_pipe_is_no_key(pipe: Path, healthy_bundle: bytes) -> None:
    with pytest.raises(TrustError, match="no regular file"):
        edge_runtime.load(healthy_bundle, trusted_keys=[pipe])
    with pytest.raises(TrustError, match="no regular file"):
        TrustStore(pipe.parent).read()
    for path in (pipe, "/dev/zero"):
        with pytest.raises(TrustError, match="no regular file; expected a public key"):
            read_key_file(path)


def test_a_pipe_is_no_list_of_revoked_keys(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "revoked.txt")
    with pytest.raises(TrustError, match="no regular file"):
        TrustStore(tmp_path).read()
    (tmp_path / "revoked.txt").unlink()
    (tmp_path / "revoked.txt").symlink_to("/dev/zero")
    with pytest.raises(TrustError):
        TrustStore(tmp_path).read()


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_regular(path, max_bytes=10, error=TrustError) == b"x" * 10
    with pytest.raises(TrustError, match="more than 9 bytes"):
        read_regular(path, max_bytes=9, error=TrustError)
    (tmp_path / "revoked.txt").write_bytes(b"\n" * (2 << 20))
    with pytest.raises(TrustError, match="more than 1,048,576 bytes"):
        TrustStore(tmp_path).read()


@pytest.mark.parametrize("command", [["info"], ["check", "--isolate"], ["trust", "add"]])
def test_no_command_waits_for_a_pipe(command: list[str], pipe: Path, patience: int) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "edge_runtime.cli", *command, pipe],
        capture_output=True,
        text=True,
        timeout=20 * patience,
        check=False,
    )
    assert process.returncode == 1
    assert "no regular file" in process.stderr
