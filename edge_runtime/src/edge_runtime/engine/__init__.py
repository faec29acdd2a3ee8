"""Checked numbers and strings in, answers of scikit-learn's shapes and labels out."""
