"""Distances, kernels and iterative solvers as ONNX nodes."""
