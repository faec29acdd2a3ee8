"""The command edge-runtime."""
