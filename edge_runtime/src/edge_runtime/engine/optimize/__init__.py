"""Smaller and faster graphs that give the same predictions."""
