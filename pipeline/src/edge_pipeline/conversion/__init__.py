"""Fitted estimator in, ONNX graph out: float64 throughout, in scikit-learn's order."""
