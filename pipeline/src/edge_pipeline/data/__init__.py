"""Read recipes and tables, and divide the rows for training and test."""
