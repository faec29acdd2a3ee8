"""Search for and fit the estimator of a recipe."""
