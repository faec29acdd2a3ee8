"""A sealed model becomes one archive with all that a board without a network needs to run it."""
