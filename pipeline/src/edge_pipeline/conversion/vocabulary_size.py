"""Check that the features of a vectorizer fit into a row and into the manifest."""

from __future__ import annotations

from collections.abc import Callable

from edge_runtime.bundle.manifest import MAX_MANIFEST_BYTES
from edge_runtime.vectorizers.specification import MAX_WIDTH, Placing, Vocabulary

__all__ = ["check_size"]

LARGEST_VOCABULARY_BYTES = MAX_MANIFEST_BYTES * 3 // 4
"""Largest part of the manifest for a vocabulary: 100,000 English words take 1.1 MB (measured)."""


def check_size(placing: Placing, refuse: Callable[[str], Exception]) -> None:
    """Refuse more features than a row can have, or a vocabulary too large for a manifest."""
    if placing.n_columns > MAX_WIDTH:
        raise refuse(
            f"its {placing.n_columns:,} columns are more than the {MAX_WIDTH:,} that a row can "
            "have; lower n_features, or raise min_df"
        )
    if not isinstance(placing, Vocabulary):
        return
    # Quotes and a comma around each term.
    size = sum(len(str(term).encode("utf-8", "replace")) + 3 for term in placing.terms)
    if size > LARGEST_VOCABULARY_BYTES:
        raise refuse(
            f"its vocabulary of {placing.n_columns:,} terms would take {size / 1e6:.0f} MB of "
            f"the manifest, which can hold {LARGEST_VOCABULARY_BYTES / 1e6:.0f} MB of them; raise "
            "min_df, set max_features, or use a HashingVectorizer"
        )
