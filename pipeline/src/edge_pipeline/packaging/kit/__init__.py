"""Pack a sealed model and the packages that run it, for a board without a network."""
