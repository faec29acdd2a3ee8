"""Convert the estimators of libraries that the user may have; each module imports its library."""
