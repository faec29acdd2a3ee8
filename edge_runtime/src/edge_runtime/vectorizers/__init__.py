"""Texts, dicts and lists in, the numbers that vectorisers and hashers make of them out."""
