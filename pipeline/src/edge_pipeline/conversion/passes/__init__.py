"""Rewrites of a finished graph that keep every answer."""
