"""Provide the command edge-pipeline."""
