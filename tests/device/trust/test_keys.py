"""Whose signatures count: key files, stores, and what happens without the package that checks."""

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from edge_runtime.bundle.seal import Seal, read_seal, replace_seal
from edge_runtime.cli.main import main
from edge_runtime.trust.keys import MAX_KEYS, TrustedKeys, as_trusted_keys
from edge_runtime.trust.public_key import PublicKey

import edge_runtime
from edge_runtime import (
    IntegrityError,
    TrustError,
    TrustStore,
    UnsignedError,
    UntrustedKeyError,
)

# RFC 8032, section 7.1, tests 1 and 2.
KEY = PublicKey(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
OTHER = PublicKey(bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))


def as_signed(raw: bytes, key: PublicKey = KEY, **fields: str) -> bytes:
    """A seal that claims a signature, which nobody made."""
    seal = read_seal(raw).signed_as(key.key_id).with_signature("5" * 128)
    return replace_seal(raw, Seal(**{**_fields(seal), **fields}))  # type: ignore[arg-type]


def _fields(seal: Seal) -> dict[str, object]:
    return {name: getattr(seal, name) for name in Seal.__slots__}


def test_a_key_is_its_pem_and_back_and_its_id_is_that_of_its_bytes() -> None:
    assert PublicKey.from_pem(KEY.to_pem()) == KEY
    assert PublicKey.from_pem(b"comment\r\n" + KEY.to_pem().replace(b"\n", b"\r\n")) == KEY
    assert KEY.key_id == "21fe31dfa154a261"
    assert (
        KEY.to_pem().splitlines()[1]
        == b"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    )


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"", "no Ed25519 public key"),
        (b"\x00" * 100, "no Ed25519 public key"),
        (KEY.to_pem()[:-30], "no Ed25519 public key"),
        (KEY.to_pem().replace(b"MCow", b"MC4w"), "no Ed25519 public key"),
        (KEY.to_pem().replace(b"11qY", b"11q*"), "no Ed25519 public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no Ed25519 public key"),
        (b"-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n", "private key, which belongs"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "private key, which belongs"),
    ],
)
def test_what_is_no_public_key_is_refused(pem: bytes, words: str, healthy_bundle: bytes) -> None:
    with pytest.raises(TrustError, match=words):
        edge_runtime.load(healthy_bundle, trusted_keys=[pem])


def test_an_unsigned_file_is_refused_where_somebody_is_trusted(
    healthy_bundle: bytes, bundle_file: Path
) -> None:
    for source in (healthy_bundle, bundle_file):
        with pytest.raises(UnsignedError, match="expected one signed by a trusted key"):
            edge_runtime.load(source, trusted_keys=[KEY.to_pem()])
        edge_runtime.load(source).close()


def test_a_key_that_nobody_trusts_is_named(healthy_bundle: bytes, tmp_path: Path) -> None:
    pem = tmp_path / "other.pem"
    pem.write_bytes(OTHER.to_pem())
    with pytest.raises(UntrustedKeyError, match="edge-runtime trust add") as caught:
        edge_runtime.load(as_signed(healthy_bundle), trusted_keys=[pem])
    assert (caught.value.key_id, caught.value.revoked) == (KEY.key_id, False)


def test_a_revoked_key_does_not_count_though_it_is_trusted_too(
    healthy_bundle: bytes, tmp_path: Path
) -> None:
    store = TrustStore(tmp_path)
    store.add(KEY.to_pem())
    store.revoke(KEY.key_id)
    with pytest.raises(UntrustedKeyError, match="is revoked") as caught:
        edge_runtime.load(as_signed(healthy_bundle), trusted_keys=store)
    assert caught.value.revoked
    with pytest.raises(TrustError, match="make a new key"):
        store.add(KEY.to_pem())


def test_no_keys_at_all_is_a_mistake_and_not_a_policy(
    healthy_bundle: bytes, tmp_path: Path
) -> None:
    for nobody in ([], (), TrustStore(tmp_path), TrustedKeys({})):
        with pytest.raises(TrustError, match="name at least one"):
            edge_runtime.load(healthy_bundle, trusted_keys=nobody)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a list of PEM files"):
        edge_runtime.load(healthy_bundle, trusted_keys="key.pem")
    with pytest.raises(FileNotFoundError):
        edge_runtime.load(healthy_bundle, trusted_keys=["absent.pem"])


def test_a_signature_is_not_looked_at_when_no_keys_are_named(healthy_bundle: bytes) -> None:
    edge_runtime.load(as_signed(healthy_bundle)).close()


def test_one_spelling_of_a_signature_is_read(healthy_bundle: bytes) -> None:
    for changed in (
        {"algorithm": "ed25519+"},
        {"algorithm": "rsa-pss-"},
        {"algorithm": "none----"},
        {"key_id": "G" * 16},
        {"key_id": KEY.key_id.upper()},
        {"signature": "5" * 127 + "F"},
        {"signature": " " * 128},
    ):
        with pytest.raises(IntegrityError):
            edge_runtime.load(as_signed(healthy_bundle, **changed))


def test_without_the_extra_a_trusted_key_says_what_to_install(
    bundle_file: Path, tmp_path: Path, in_new_process: Callable[..., str]
) -> None:
    bundle_file.write_bytes(as_signed(bundle_file.read_bytes()))
    (tmp_path / "key.pem").write_bytes(KEY.to_pem())
    source = (
        "import sys\n"
        "sys.modules['cryptography'] = None\n"
        "import edge_runtime\n"
        "edge_runtime.load(sys.argv[1]).close()\n"
        "try:\n"
        "    edge_runtime.load(sys.argv[1], trusted_keys=[sys.argv[2]])\n"
        "except edge_runtime.TrustError as error:\n"
        "    print(error)\n"
    )
    figures = in_new_process(source, bundle_file, tmp_path / "key.pem")
    assert "pip install 'edge-runtime[signing]'" in figures


def test_a_store_counts_all_its_folders_and_writes_to_the_first(tmp_path: Path) -> None:
    own, system = tmp_path / "a" / "own", tmp_path / "system"
    TrustStore(system).add(OTHER.to_pem())
    store = TrustStore(own, system)
    assert store.add(KEY.to_pem()) == KEY
    assert [path.name for path in own.iterdir()] == [f"{KEY.key_id}.pem"]
    assert set(store.read().keys) == {KEY.key_id, OTHER.key_id}
    TrustStore(system).revoke(KEY.key_id)
    assert store.read().revoked == {KEY.key_id}
    with pytest.raises(TrustError, match="has no key"):
        store.remove(OTHER.key_id)
    store.remove(KEY.key_id)
    assert set(store.read().keys) == {OTHER.key_id}
    assert as_trusted_keys(store).keys == {OTHER.key_id: OTHER}


def test_a_store_that_is_not_understood_trusts_nobody(tmp_path: Path) -> None:
    store = TrustStore(tmp_path)
    store.add(KEY.to_pem())
    (tmp_path / "notes.txt").write_text("is no key and no matter")
    store.read()
    for name, text, words in (
        ("bad.pem", "hello", "bad.pem is no Ed25519"),
        ("revoked.txt", "# lost\n21fe31dfa154a261  # stolen\nABC\n", "'ABC' is no key id"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(TrustError, match=words):
            store.read()
        (tmp_path / name).unlink()
    for index in range(MAX_KEYS):
        (tmp_path / f"{index}.pem").write_bytes(KEY.to_pem())
    with pytest.raises(TrustError, match="reads up to"):
        store.read()


def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    TrustStore(tmp_path).add(KEY.to_pem())
    tmp_path.chmod(0o777)
    with pytest.raises(TrustError, match="chmod go-w"):
        TrustStore(tmp_path).read()
    tmp_path.chmod(0o755)


def test_a_change_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    import resource
    import signal

    store = TrustStore(tmp_path)
    store.revoke(OTHER.key_id)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        for change in (lambda: store.add(KEY.to_pem()), lambda: store.revoke(KEY.key_id)):
            with pytest.raises(OSError, match="File too large"):
                change()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == ["revoked.txt"]
    assert store.read().revoked == {OTHER.key_id}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    figures = capsys.readouterr()
    return code, figures.out, figures.err


def test_the_commands_go_by_the_users_and_the_systems_keys(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bundle_file: Path,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    pem = tmp_path / "key.pub.pem"
    pem.write_bytes(KEY.to_pem())
    assert "unsigned" in run(capsys, "info", bundle_file)[1]
    assert "no trusted keys" in run(capsys, "trust", "list")[2]

    code, out, _ = run(capsys, "trust", "add", pem)
    assert (code, out.split()[0]) == (0, KEY.key_id)
    assert (tmp_path / "config/edge-runtime/trust" / f"{KEY.key_id}.pem").is_file()
    for command in ("info", "check", "predict"):
        code, out, err = run(capsys, command, bundle_file)
        assert (code, out) == (1, "")
        assert "is unsigned, expected one signed" in err
    # A folder of one's own choice is gone by alone.
    another = ("--trust-store", tmp_path / "other")
    (tmp_path / "other.pem").write_bytes(OTHER.to_pem())
    assert run(capsys, "trust", "add", tmp_path / "other.pem", *another)[0] == 0
    assert f"trusted key ({OTHER.key_id})" in run(capsys, "info", bundle_file, *another)[2]

    assert run(capsys, "trust", "revoke", OTHER.key_id)[0] == 0
    code, out, _ = run(capsys, "trust", "list")
    assert f"{KEY.key_id}  trusted" in out
    assert f"{OTHER.key_id}  revoked" in out
    assert '"revoked": true' not in run(capsys, "trust", "list", "--json")[1]
    code, _, err = run(capsys, "trust", "remove", KEY.key_id)
    assert (code, "not checked from now on" in err) == (0, True)
    assert run(capsys, "info", bundle_file)[0] == 0


def test_info_says_who_signed_though_nobody_is_trusted(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    bundle_file: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    bundle_file.write_bytes(as_signed(bundle_file.read_bytes()))
    out = run(capsys, "info", bundle_file)[1]
    assert f"signed by key {KEY.key_id}, not checked" in out
    assert "version 1" in out
    assert '"signature": "unchecked"' in run(capsys, "check", bundle_file, "--json")[1]


@pytest.mark.parametrize("command", ["info", "check", "predict", "bench"])
def test_a_named_store_without_keys_is_an_error(
    capsys: pytest.CaptureFixture[str], bundle_file: Path, tmp_path: Path, command: str
) -> None:
    store = tmp_path / "store"
    for arguments in ("is no folder", "holds no trusted key"):
        code, out, err = run(capsys, command, bundle_file, "--trust-store", store)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert arguments in err
        assert "edge-runtime trust add KEY.pem" in err
        store.mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("trust", "add", "absent.pem"), "No such file"),
        (("trust", "remove", "0" * 16), "has no key"),
        (("trust", "remove", "../../etc/x"), "is no key id"),
        (("trust", "revoke", "short"), "is no key id"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = run(capsys, *arguments, "--trust-store", tmp_path)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert words in err


def test_check_isolates_when_asked(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    bundle_file: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    code, out, _ = run(capsys, "check", bundle_file, "--isolate")
    assert (code, "a process of its own loaded it" in out) == (0, True)


def test_openssl_writes_the_same_public_key(tmp_path: Path) -> None:
    """Where OpenSSL is installed: the fixed head of our key files is the one that it writes."""
    der = base64.b64decode(KEY.to_pem().splitlines()[1])
    try:
        process = subprocess.run(
            ["openssl", "pkey", "-pubin", "-inform", "DER", "-pubout"],
            input=der,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed: the format of our key files was not compared")
    assert process.stdout == KEY.to_pem(), sys.platform


def _double(point: tuple[int, int]) -> tuple[int, int]:
    """Add a point of Edwards25519 to itself (RFC 8032, section 5.1.4, in affine coordinates)."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    x, y = point
    t = d * x * x * y * y % p
    return 2 * x * y * pow(1 + t, -1, p) % p, (y * y + x * x) * pow(1 - t, -1, p) % p


def _x_of(y: int) -> int | None:
    """Find an x for *y*, if the curve has one."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    root = pow(square, (p + 3) // 8, p)
    if root * root % p != square:
        root = root * pow(2, (p - 1) // 4, p) % p
    return root if root * root % p == square else None


def test_points_of_small_order_are_refused(healthy_bundle: bytes) -> None:
    """Anybody can sign for a point whose order divides 8, however it is spelled."""
    p = 2**255 - 19
    eighth = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
    small = {0, 1, p - 1, eighth, p - eighth}
    for y in small:
        x = _x_of(y)
        assert x is not None
        point = x, y
        for _ in range(3):
            point = _double(point)
        assert point == (0, 1)
    spellings = small | {y + p for y in small if y + p < 2**255} | {p + 2, p + 18}
    for y in spellings:
        for sign in (0, 1):
            raw = (y | sign << 255).to_bytes(32, "little")
            pem = PublicKey(raw).to_pem()
            with pytest.raises(TrustError, match="anybody can sign"):
                edge_runtime.load(healthy_bundle, trusted_keys=[pem])
