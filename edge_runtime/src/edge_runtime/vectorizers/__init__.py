"""Count the features of texts, dicts and lists, as scikit-learn's vectorizers and hashers do."""
