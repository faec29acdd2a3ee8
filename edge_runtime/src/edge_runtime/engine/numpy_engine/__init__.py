"""Run graphs with numpy alone, where onnxruntime is missing or must not be used."""
