"""Signed files and their keys; the test modules skip themselves without the extra ``signing``."""

from typing import Any

import pytest
from device import models
from device.models import Parts


@pytest.fixture(scope="session")
def parts() -> Parts:
    return models.classifier()


@pytest.fixture(scope="session")
def private_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="session")
def other_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


@pytest.fixture(scope="session")
def pem(private_key: Any) -> bytes:
    """The public key that the device of these tests trusts."""
    from edge_runtime.trust.signatures import public_key

    return public_key(private_key).to_pem()


@pytest.fixture(scope="session")
def signed_bundle(parts: Parts, private_key: Any) -> bytes:
    from edge_runtime.trust.signatures import sign

    return sign(parts.sealed(), private_key)
