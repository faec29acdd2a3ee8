"""docs/security.md shows how to check a signature without our code; that is done here."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="the extra `signing` is not installed")


def by_hand(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    for tool in ("openssl", "basenc", "sha256sum"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: NO signature was checked by hand")
    page = (root / "docs/security.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return subprocess.run(
        ["sh", "-euc", lines], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path, signed_bundle: bytes, pem: bytes) -> Path:
    (tmp_path / "penguins.onnx").write_bytes(signed_bundle)
    (tmp_path / "factory.pub.pem").write_bytes(pem)
    return tmp_path


def test_openssl_accepts_what_we_signed(root: Path, folder: Path) -> None:
    process = by_hand(root, folder)
    assert process.returncode == 0, process.stderr
    verdict, stated, blocks, key_id, id_of_key = process.stdout.splitlines()
    assert verdict == "Signature Verified Successfully"
    assert stated == blocks
    assert key_id == id_of_key


def test_openssl_refuses_what_we_refuse(
    root: Path, folder: Path, signed_bundle: bytes, parts: Any, other_key: Any
) -> None:
    from edge_runtime.trust.signatures import public_key, sign

    path = folder / "penguins.onnx"
    foreign = sign(parts.sealed(), other_key)
    changed = bytearray(signed_bundle)
    changed[-200] ^= 1  # a digit of the digest
    for raw in (foreign, bytes(changed)):
        path.write_bytes(raw)
        process = by_hand(root, folder)
        assert process.returncode != 0
        assert "Verified Successfully" not in process.stdout
    path.write_bytes(foreign)
    (folder / "factory.pub.pem").write_bytes(public_key(other_key).to_pem())
    assert by_hand(root, folder).returncode == 0
