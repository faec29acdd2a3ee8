"""Every change to a signed file is refused, with the right error."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from device import models
from device.models import Parts
from edge_runtime.bundle.layout import pack, unpack
from edge_runtime.bundle.seal import SEAL_ENTRY_BYTES, read_seal, replace_seal, signed_message
from edge_runtime.trust.signatures import public_key, sign, verify

import edge_runtime
from edge_runtime import (
    BundleError,
    FormatVersionError,
    IntegrityError,
    NotABundleError,
    SignatureError,
    UnsignedError,
    UntrustedKeyError,
)

pytest.importorskip("cryptography", reason="the extra `signing` is not installed")

SEAL_BYTES = 276


def load(raw: bytes, *keys: bytes) -> None:
    edge_runtime.load(raw, trusted_keys=keys).close()


def test_a_signed_file_loads_where_its_key_is_trusted_and_where_none_is(
    signed_bundle: bytes, pem: bytes
) -> None:
    load(signed_bundle, pem)
    edge_runtime.load(signed_bundle).close()


def test_signing_changes_nothing_but_the_signature_and_is_repeatable(
    parts: Parts, signed_bundle: bytes, private_key: Any, other_key: Any
) -> None:
    unsigned = parts.sealed()
    place = len(unsigned) - 8 - 16 - 128
    assert signed_bundle[:place] == unsigned[:place]
    assert len(signed_bundle) == len(unsigned)
    assert sign(unsigned, private_key) == signed_bundle
    # Over another signature, or the same once more.
    assert sign(sign(unsigned, other_key), private_key) == signed_bundle
    assert sign(signed_bundle, private_key) == signed_bundle


def expected(place: int, size: int) -> tuple[type[BundleError], ...]:
    """The errors that tell damage at *place*; several where the flip decides between them."""
    if place < size - SEAL_ENTRY_BYTES:
        return (IntegrityError,)
    field = place - (size - SEAL_BYTES)
    if field < 8:  # the seal's head; EDGESEAL, which may also become a byte that is no ASCII
        return (NotABundleError,) if field < 0 else (NotABundleError, IntegrityError)
    if field < 12:  # format
        return (FormatVersionError, IntegrityError)
    if field < 12 + 48 + 64 + 8:  # geometry, digest, algorithm
        return (IntegrityError,)
    if field < 12 + 48 + 64 + 8 + 16:  # key id: another key's, or no key's
        return (UntrustedKeyError, IntegrityError)
    return (SignatureError, IntegrityError)  # another signature, or none


def test_every_flip_of_every_byte_is_refused_with_the_right_error(
    signed_bundle: bytes, pem: bytes
) -> None:
    size = len(signed_bundle)
    for place in range(size):
        # All eight bits where only spelling and signature protect; one where the digest does.
        bits = range(8) if place >= size - SEAL_ENTRY_BYTES else (place % 8,)
        for bit in bits:
            changed = bytearray(signed_bundle)
            changed[place] ^= 1 << bit
            with pytest.raises(expected(place, size)) as caught:
                load(bytes(changed), pem)
            assert type(caught.value) in expected(place, size), place


def test_every_digit_of_the_signature_counts(signed_bundle: bytes, pem: bytes) -> None:
    for place in range(len(signed_bundle) - 128, len(signed_bundle)):
        changed = bytearray(signed_bundle)
        changed[place] = ord("0" if changed[place] != ord("0") else "1")
        with pytest.raises(SignatureError, match="somebody forged it") as caught:
            load(bytes(changed), pem)
        assert type(caught.value) is SignatureError


def test_every_truncation_and_every_appended_byte_is_refused(
    signed_bundle: bytes, pem: bytes
) -> None:
    for length in range(len(signed_bundle)):
        with pytest.raises(NotABundleError):
            load(signed_bundle[:length], pem)
    for byte in range(256):
        with pytest.raises(NotABundleError):
            load(signed_bundle + bytes([byte]), pem)
        with pytest.raises((NotABundleError, IntegrityError)):
            load(bytes([byte]) + signed_bundle, pem)


def test_the_signature_is_stripped_in_vain(parts: Parts, pem: bytes) -> None:
    with pytest.raises(UnsignedError):
        load(parts.sealed(), pem)


def test_another_keys_signature_is_refused_under_either_name(
    parts: Parts, pem: bytes, private_key: Any, other_key: Any
) -> None:
    foreign = sign(parts.sealed(), other_key)
    with pytest.raises(UntrustedKeyError):
        load(foreign, pem)
    # The stranger writes the trusted key's id over his own signature.
    seal = read_seal(parts.sealed()).signed_as(public_key(private_key).key_id)
    forged = other_key.sign(signed_message(seal)).hex()
    with pytest.raises(SignatureError, match="forged"):
        load(replace_seal(parts.sealed(), seal.with_signature(forged)), pem)
    # And where both are trusted, each key's signature counts under its own name alone.
    pems = (pem, public_key(other_key).to_pem())
    load(foreign, *pems)
    renamed = replace(read_seal(foreign), key_id=public_key(private_key).key_id)
    with pytest.raises(SignatureError, match="forged"):
        load(replace_seal(foreign, renamed), *pems)


def signatures_of_other_kinds(private_key: Any, message: bytes) -> dict[str, bytes]:
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    curve = ec.derive_private_key(7, ec.SECP256R1())
    r, s = utils.decode_dss_signature(curve.sign(message, ec.ECDSA(SHA256())))
    signature = private_key.sign(message)
    # S + L: another spelling of the same signature, which RFC 8032 (5.1.7) forbids.
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(signature[32:], "little") + order
    return {
        "ECDSA": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "digest": hashlib.sha512(message).digest(),
        "zeros": bytes(64),
        "without the first line": private_key.sign(message.partition(b"\n")[2]),
        "another purpose": private_key.sign(message.replace(b"bundle", b"update")),
        "prehashed": private_key.sign(hashlib.sha512(message).digest()),
        "another spelling": signature[:32] + scalar.to_bytes(32, "little"),
    }


def test_a_signature_of_another_kind_is_refused(parts: Parts, pem: bytes, private_key: Any) -> None:
    seal = read_seal(parts.sealed()).signed_as(public_key(private_key).key_id)
    for kind, signature in signatures_of_other_kinds(private_key, signed_message(seal)).items():
        raw = replace_seal(parts.sealed(), seal.with_signature(signature.hex()))
        with pytest.raises(SignatureError, match="forged"):
            load(raw, pem)
        assert kind
    file_itself = private_key.sign(parts.sealed()[:-SEAL_ENTRY_BYTES])
    with pytest.raises(SignatureError):
        verify(seal.with_signature(file_itself.hex()), public_key(private_key))


def test_parts_of_two_signed_files_do_not_make_a_third(
    parts: Parts, pem: bytes, private_key: Any
) -> None:
    """The same name, or the same graph; each part is good, and the whole is not."""
    old = sign(parts.sealed(version=1), private_key)
    new = sign(parts.sealed(version=2), private_key)
    twin = models.classifier(("x", "y", "z"))
    another = sign(twin.sealed(), private_key)
    graph, other_graph = bytes(unpack(old).graph), bytes(unpack(another).graph)
    first, second = unpack(old).manifest, unpack(new).manifest
    for resealed, signature in (
        (pack(graph, first), new),  # an old manifest under the new signature
        (pack(graph, second), old),
        (pack(other_graph, first), old),
        (pack(graph, replace(first, name="another")), old),
    ):
        with pytest.raises(SignatureError, match="forged"):
            load(_of(signature)(resealed), pem)
    # With the seal itself, digest and all, taken along.
    for raw, seal in ((old, new), (new, old), (old, another), (another, old)):
        with pytest.raises(IntegrityError):
            load(raw[:-SEAL_ENTRY_BYTES] + seal[-SEAL_ENTRY_BYTES:], pem)


def _of(signed: bytes) -> Callable[[bytes], bytes]:
    """Put the signature of *signed* onto a file sealed anew."""
    theirs = read_seal(signed)

    def with_their_signature(resealed: bytes) -> bytes:
        seal = read_seal(resealed).signed_as(theirs.key_id).with_signature(theirs.signature)
        return replace_seal(resealed, seal)

    return with_their_signature


def test_the_version_is_bound_by_the_signature(parts: Parts, private_key: Any, pem: bytes) -> None:
    raw = sign(parts.sealed(version=41), private_key)
    with edge_runtime.load(raw, trusted_keys=[pem]) as model:
        assert model.manifest.version == 41
    resealed = _of(raw)(parts.sealed(version=42))
    with pytest.raises(SignatureError):
        load(resealed, pem)


def test_keys_are_rotated_by_trusting_both_and_then_the_new_one(
    parts: Parts, private_key: Any, other_key: Any, tmp_path: Any
) -> None:
    store = edge_runtime.TrustStore(tmp_path)
    old_file, new_file = (sign(parts.sealed(), key) for key in (private_key, other_key))
    old, new = public_key(private_key), public_key(other_key)
    store.add(old.to_pem())
    edge_runtime.load(old_file, trusted_keys=store).close()
    store.add(new.to_pem())
    for raw in (old_file, new_file):
        edge_runtime.load(raw, trusted_keys=store).close()
    store.remove(old.key_id)
    edge_runtime.load(new_file, trusted_keys=store).close()
    with pytest.raises(UntrustedKeyError) as caught:
        edge_runtime.load(old_file, trusted_keys=store)
    assert not caught.value.revoked
    store.revoke(old.key_id)
    with pytest.raises(UntrustedKeyError, match="revoked"):
        edge_runtime.load(old_file, trusted_keys=store)


def test_no_manifest_is_parsed_before_its_signature_was_checked(
    parts: Parts, pem: bytes, other_key: Any
) -> None:
    """The order: a stranger's manifest that is no JSON is refused for being a stranger's."""
    resealed = parts.sealed()
    start = read_seal(resealed).manifest_offset
    end = len(resealed) - SEAL_ENTRY_BYTES
    changed = resealed[:start] + b"[" * (end - start)
    seal = replace(read_seal(resealed), sha256=hashlib.sha256(changed).hexdigest())
    raw = replace_seal(changed + bytes(SEAL_ENTRY_BYTES), seal)
    with pytest.raises(IntegrityError, match="nested"):
        edge_runtime.load(raw)
    with pytest.raises(UnsignedError):
        load(raw, pem)
    with pytest.raises(UntrustedKeyError):
        load(sign(raw, other_key), pem)


def test_a_signature_made_by_the_rfc_is_ours() -> None:
    """RFC 8032, section 7.1, test 3: the keys are the standard's, so any library can check."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    secret = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    public = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    assert public_key(Ed25519PrivateKey.from_private_bytes(secret)).raw.hex() == public
