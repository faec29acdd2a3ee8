"""Training rows in, a fitted scikit-learn model out."""
