"""Compute the operators of the allow list with numpy, one module for each kind of operator."""
