"""Convert a fitted estimator to an ONNX graph, in float64 and in scikit-learn's order."""
