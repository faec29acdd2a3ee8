"""Private keys on the build machine: made, protected, read, and used to sign."""

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from click.testing import CliRunner, Result
from edge_pipeline.cli.main import cli
from edge_pipeline.errors import SigningError
from edge_pipeline.packaging.signing import SigningKey, make_signing_key, public_path, sign
from edge_runtime.bundle.layout import unpack
from edge_runtime.bundle.seal import read_seal
from edge_runtime.trust.public_key import PublicKey
from sklearn.linear_model import LinearRegression

import edge_runtime

pytest.importorskip("cryptography", reason="the extra `signing` is not installed")

PASSWORD = "correct horse"
X = np.random.default_rng(0).normal(size=(40, 2))


@pytest.fixture(scope="module")
def line() -> LinearRegression:
    return LinearRegression().fit(X, X @ [1.0, 2.0])


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "factory.pem"
    make_signing_key(path, password=PASSWORD)
    return path


def run(*arguments: object, password: str | None = None) -> Result:
    environment = {"EDGE_KEY_PASSWORD": password}
    return CliRunner().invoke(cli, [str(a) for a in arguments], env=environment)


def test_a_key_is_read_back_with_its_password_and_by_its_owner_alone(key_file: Path) -> None:
    key = SigningKey.read(key_file, password=PASSWORD)
    public = PublicKey.from_pem(public_path(key_file).read_bytes())
    assert key.public == public
    assert key.key_id == public.key_id
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert key_file.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert PASSWORD not in repr(key)
    for wrong in (None, "", "another"):
        with pytest.raises(SigningError, match="password"):
            SigningKey.read(key_file, password=wrong)


def test_a_key_is_never_written_over(key_file: Path, tmp_path: Path) -> None:
    before = key_file.read_bytes()
    with pytest.raises(SigningError, match="never overwritten"):
        make_signing_key(key_file, password=None)
    assert key_file.read_bytes() == before
    # Nor is a public key that others may have been given.
    (tmp_path / "lone.pub.pem").write_text("theirs")
    with pytest.raises(SigningError, match=r"lone\.pub\.pem exists"):
        make_signing_key(tmp_path / "lone.pem", password=None)
    assert not (tmp_path / "lone.pem").exists()


def test_an_empty_password_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="empty"):
        make_signing_key(tmp_path / "key.pem", password="")
    assert not os.listdir(tmp_path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = tmp_path / "ec.pem"
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(SigningError, match="expected Ed25519"):
        SigningKey.read(path)
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nno\n")
    with pytest.raises(SigningError, match="not a private key in PEM"):
        SigningKey.read(path)


def test_an_export_is_signed_and_the_same_bytes_each_time(
    line: Any, key_file: Path, tmp_path: Path
) -> None:
    key = SigningKey.read(key_file, password=PASSWORD)
    reports = [
        edge_pipeline.export(line, X, tmp_path / name, name="line", signing_key=key)
        for name in ("a.onnx", "b.onnx")
    ]
    a, b = ((tmp_path / name).read_bytes() for name in ("a.onnx", "b.onnx"))
    assert a == b
    assert reports[0].key_id == key.key_id == read_seal(a).key_id
    with edge_runtime.load(a, trusted_keys=[public_path(key_file)]) as model:
        np.testing.assert_allclose(model.predict(X[:5]), line.predict(X[:5]), rtol=1e-12)


def test_a_wrong_key_is_found_before_the_work(line: Any, key_file: Path, tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="protected by a password"):
        edge_pipeline.export(line, X, tmp_path / "m.onnx", signing_key=key_file)
    with pytest.raises(FileNotFoundError):
        edge_pipeline.build("models/none", tmp_path / "m.onnx", signing_key="absent.pem")
    assert not (tmp_path / "m.onnx").exists()


def test_sign_keeps_graph_and_manifest_and_refuses_what_would_not_load(
    line: Any, tmp_path: Path
) -> None:
    keys = [make_signing_key(tmp_path / f"{i}.pem", password=None) for i in (1, 2)]
    path = tmp_path / "m.onnx"
    edge_pipeline.export(line, X, path)
    before = unpack(path.read_bytes())
    for key in (keys[0], keys[1], tmp_path / "1.pem"):
        process = sign(path, key)
        after = unpack(path.read_bytes())
        assert (bytes(after.graph), after.manifest) == (bytes(before.graph), before.manifest)
        assert (process.key_id, process.manifest.version) == (after.seal.key_id, 1)
    spoilt = bytearray(path.read_bytes())
    spoilt[50] ^= 1
    path.write_bytes(spoilt)
    with pytest.raises(edge_runtime.IntegrityError):
        sign(path, keys[0])
    assert path.read_bytes() == spoilt


def test_the_commands_make_a_key_and_sign_with_it(line: Any, tmp_path: Path) -> None:
    key, model = tmp_path / "k.pem", tmp_path / "m.onnx"
    edge_pipeline.export(line, X, model)
    result = run("keygen", "-o", key, "--json", password=PASSWORD)
    key_id = json.loads(result.stdout)["key_id"]
    assert "unsigned" in run("inspect", model).stdout
    signed = run("sign", model, "--key", key, password=PASSWORD)
    assert (signed.exit_code, key_id in signed.stdout) == (0, True)
    assert f"by key {key_id}; not checked here" in run("inspect", model).stdout
    assert json.loads(run("inspect", model, "--json").stdout)["key_id"] == key_id
    assert PASSWORD not in result.output + signed.output

    wrong = run("sign", model, "--key", key, password="another")
    assert (wrong.exit_code, "password is wrong" in wrong.stderr) == (1, True)
    again = run("keygen", "-o", key, password=PASSWORD)
    assert (again.exit_code, "never overwritten" in again.stderr) == (1, True)
    silent = run("sign", model, "--key", key)
    assert (silent.exit_code, "EDGE_KEY_PASSWORD" in silent.stderr) == (2, True)
    silent = run("keygen", "-o", tmp_path / "other.pem")
    assert (silent.exit_code, "--no-password" in silent.stderr) == (2, True)
    assert run("sign", model).exit_code == 2


@pytest.mark.slow
def test_build_and_export_sign_what_they_write(tmp_path: Path, root: Path) -> None:
    key = tmp_path / "k.pem"
    key_id = json.loads(run("keygen", "--no-password", "-o", key, "--json").stdout)["key_id"]
    result = run("build", root / "models/linear", "-o", tmp_path / "l.onnx", "--key", key, "-q")
    assert ["signed", "by", "key", key_id] in [line.split() for line in result.stdout.splitlines()]
    (tmp_path / "train_it.py").write_text(
        "import numpy as np\n"
        "from sklearn.linear_model import LinearRegression\n"
        "def fitted():\n"
        "    X = np.arange(8.0).reshape(-1, 1)\n"
        "    return LinearRegression().fit(X, X[:, 0]), X\n"
    )
    function = f"{tmp_path}/train_it.py:fitted"
    output = run("export", function, "-o", tmp_path / "e.onnx", "--key", key, "--json")
    assert json.loads(output.stdout)["key_id"] == key_id
    for name in ("l.onnx", "e.onnx"):
        edge_runtime.load(tmp_path / name, trusted_keys=[public_path(key)]).close()


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    main, terminal = pty.openpty()
    command = Path(sys.executable).with_name("edge-pipeline")
    environment = {k: v for k, v in os.environ.items() if k != "EDGE_KEY_PASSWORD"}
    with subprocess.Popen(
        [command, "keygen", "-o", tmp_path / "k.pem"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    ) as child:
        os.close(terminal)
        output = b""
        while output.count(b":") < 2:
            before = output.count(b":")
            output += os.read(main, 1000)
            if output.count(b":") > before:
                os.write(main, PASSWORD.encode() + b"\n")
        child.communicate(timeout=60)
    os.close(main)
    assert child.returncode == 0
    assert PASSWORD.encode() not in output
    assert SigningKey.read(tmp_path / "k.pem", password=PASSWORD).key_id
