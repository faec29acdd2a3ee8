"""The formulas of scikit-learn's estimators, as expressions."""
