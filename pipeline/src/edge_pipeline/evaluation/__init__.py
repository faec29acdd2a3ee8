"""Measure a sealed file's size, speed and memory, and compare its predictions with another's."""
