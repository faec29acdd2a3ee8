"""The version of the file format, which docs/bundle-format.md describes."""

from __future__ import annotations

__all__ = ["FORMAT_VERSION"]

FORMAT_VERSION = 1
"""Highest format version that this runtime writes and reads."""
