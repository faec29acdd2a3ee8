"""``edge-runtime trust``, and the keys that the other commands go by.

The library reads no environment and no home; this is where the device's folders are found.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from edge_runtime.cli.notes import note
from edge_runtime.errors import TrustError
from edge_runtime.trust.keys import TrustedKeys, TrustStore

__all__ = ["SYSTEM_FOLDER", "add", "print_keys", "remove", "revoke", "store_of", "trusted_keys"]

SYSTEM_FOLDER = Path("/etc/edge-runtime/trust")
"""Keys that every user of the device trusts."""


def store_of(folder: str | None, *, system: bool = False) -> TrustStore:
    """The user's and the system's folders, or *folder* alone; the first is the one written to."""
    if folder is not None:
        return TrustStore(folder)
    own = _user_folder()
    if system or own is None:
        return TrustStore(SYSTEM_FOLDER)
    return TrustStore(own, SYSTEM_FOLDER)


def trusted_keys(folder: str | None) -> TrustedKeys | None:
    """The keys that bundles must be signed with; None when this device trusts nobody yet.

    Raises
    ------
    TrustError
        *folder* was named and holds no key: whoever names one means to have signatures checked.
    """
    found = store_of(folder).read()
    if folder is not None and not found.keys:
        what = "holds no trusted key" if os.path.isdir(folder) else "is no folder"
        raise TrustError(
            f"the trust store {folder} {what}; expected one with a .pem file: fill it with "
            f"edge-runtime trust add KEY.pem --trust-store {folder}"
        )
    return found if found.keys else None


def add(path: str, store: TrustStore) -> int:
    """``trust add``."""
    key = store.add(Path(path).read_bytes(), source=path)
    print(f"{key.key_id}  trusted from now on, in {store.folders[0]}")
    return 0


def remove(key_id: str, store: TrustStore) -> int:
    """``trust remove``; says so when nothing is checked any more."""
    store.remove(key_id)
    print(f"{key_id}  trusted no more")
    if not store.read().keys:
        note(
            "edge-runtime: no trusted keys are left: signatures are not checked from now on",
        )
    return 0


def revoke(key_id: str, store: TrustStore) -> int:
    """``trust revoke``."""
    store.revoke(key_id)
    print(f"{key_id}  revoked, in {store.folders[0]}")
    return 0


def print_keys(store: TrustStore, *, as_json: bool) -> int:
    """``trust list``."""
    revoked = store.read().revoked
    places = list(store.places())
    if as_json:
        keys = [
            {"key_id": key.key_id, "file": str(path), "revoked": key.key_id in revoked}
            for path, key in places
        ]
        print(json.dumps({"keys": keys, "revoked": sorted(revoked)}, indent=2))
        return 0
    for path, key in places:
        print(f"{key.key_id}  {'revoked' if key.key_id in revoked else 'trusted'}  {path}")
    for key_id in sorted(revoked - {key.key_id for _, key in places}):
        print(f"{key_id}  revoked")
    if not places:
        note(
            "edge-runtime: no trusted keys: unsigned bundles and those of anybody are accepted",
        )
    return 0


def _user_folder() -> Path | None:
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(configured):  # a relative one is to be ignored (XDG Base Directory 0.8)
        return Path(configured) / "edge-runtime" / "trust"
    try:
        return Path.home() / ".config" / "edge-runtime" / "trust"
    except RuntimeError:  # a service without a home
        return None
