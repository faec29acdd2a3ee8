"""Decide which signed files this device accepts: Ed25519 signatures and trusted keys."""
