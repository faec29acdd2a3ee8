"""The command edge-pipeline."""
