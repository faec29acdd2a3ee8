"""Prove the graph, and compare it with scikit-learn on rows that could make them differ."""
