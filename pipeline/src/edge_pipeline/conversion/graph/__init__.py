"""Symbolic arrays and the ONNX graph that they write."""
