"""Run the graph on checked inputs, and give predictions of scikit-learn's shapes and dtypes."""
