"""A verified model becomes one file, written whole or not at all, and signed when asked."""
