"""Convert each family of estimators in a module of its own, by its table ``CONVERTERS``."""
