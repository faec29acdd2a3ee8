"""What a graph holds, read from its bytes before onnxruntime sees them."""
