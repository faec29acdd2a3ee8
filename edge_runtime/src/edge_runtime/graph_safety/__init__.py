"""Check a graph from its bytes, before onnxruntime reads them."""
