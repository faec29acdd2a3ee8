"""Convert a transformer by running it on known values, and storing its outputs as tables."""
