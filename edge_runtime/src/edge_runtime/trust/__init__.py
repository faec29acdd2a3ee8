"""Whose files this device accepts: Ed25519 signatures and the keys that are trusted."""
