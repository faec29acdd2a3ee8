"""Trace a user's numpy or pandas function into ONNX nodes."""
