"""Rows that are likely to reveal a difference between graph and estimator."""
