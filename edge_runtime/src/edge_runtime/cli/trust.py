"""Run ``edge-runtime trust``, and find the trusted keys for the other commands.

The library reads no environment variable and no home folder; only this module does.
"""

from __future__ import annotations

import os
from pathlib import Path

from edge_runtime.cli.console import note, print_json, print_line
from edge_runtime.errors import TrustError
from edge_runtime.trust.keys import TrustedKeys, TrustStore, read_key_file

__all__ = ["SYSTEM_FOLDER", "add", "print_keys", "remove", "revoke", "store_of", "trusted_keys"]

SYSTEM_FOLDER = Path("/etc/edge-runtime/trust")
"""Keys that every user of the device trusts."""


def store_of(folder: str | None, *, system: bool = False) -> TrustStore:
    """Return the store of the user and the system, or of *folder* alone.

    New keys are written to its first folder.
    """
    if folder is not None:
        return TrustStore(folder)
    own = _user_folder()
    if system or own is None:
        return TrustStore(SYSTEM_FOLDER)
    return TrustStore(own, SYSTEM_FOLDER)


def trusted_keys(folder: str | None) -> TrustedKeys | None:
    """Return the keys, one of which must have signed a bundle; None if the device trusts no key.

    Raises
    ------
    TrustError
        *folder* is given and holds no key: the user wants signatures to be checked.
    """
    keys = store_of(folder).read()
    if folder is not None and not keys.keys:
        fault = "holds no trusted key" if os.path.isdir(folder) else "is no folder"
        raise TrustError(
            f"the trust store {folder} {fault}; expected one with a .pem file: fill it with "
            f"edge-runtime trust add KEY.pem --trust-store {folder}"
        )
    return keys if keys.keys else None


def add(path: str, store: TrustStore) -> int:
    """Run ``trust add``: trust the public key in a PEM file."""
    key = store.add(read_key_file(path), source=path)
    print_line(f"{key.key_id}  trusted from now on, in {store.folders[0]}")
    return 0


def remove(key_id: str, store: TrustStore) -> int:
    """Run ``trust remove``; say so if no key is left, because nothing is checked then."""
    store.remove(key_id)
    print_line(f"{key_id}  trusted no more")
    if not store.read().keys:
        note("edge-runtime: no trusted keys are left: signatures are not checked from now on")
    return 0


def revoke(key_id: str, store: TrustStore) -> int:
    """Run ``trust revoke``: refuse whatever the key has signed."""
    store.revoke(key_id)
    print_line(f"{key_id}  revoked, in {store.folders[0]}")
    return 0


def print_keys(store: TrustStore, *, as_json: bool) -> int:
    """Run ``trust list``: print trusted and revoked keys."""
    revoked = store.read().revoked
    places = list(store.places())
    if as_json:
        keys = [
            {"key_id": key.key_id, "file": str(path), "revoked": key.key_id in revoked}
            for path, key in places
        ]
        print_json({"keys": keys, "revoked": sorted(revoked)})
        return 0
    for path, key in places:
        print_line(f"{key.key_id}  {'revoked' if key.key_id in revoked else 'trusted'}  {path}")
    for key_id in sorted(revoked - {key.key_id for _, key in places}):
        print_line(f"{key_id}  revoked")
    if not places:
        note("edge-runtime: no trusted keys: bundles are accepted unsigned, and with any signature")
    return 0


def _user_folder() -> Path | None:
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(configured):  # a relative one is to be ignored (XDG Base Directory 0.8)
        return Path(configured) / "edge-runtime" / "trust"
    try:
        return Path.home() / ".config" / "edge-runtime" / "trust"
    except RuntimeError:  # a service without a home
        return None
