"""Express the methods of scikit-learn's estimators by formulas."""
