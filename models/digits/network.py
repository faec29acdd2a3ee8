"""A neural network for 8x8 images: pixels scaled to 0..1, one hidden layer."""

from __future__ import annotations

from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler


def make(*, hidden: int, epochs: int) -> Pipeline:
    """Make an unfitted pipeline; the recipe names the parameters."""
    network = MLPClassifier(
        hidden_layer_sizes=(hidden,),
        learning_rate_init=0.01,
        max_iter=epochs,
        # Training ends when ten epochs in a row lower the loss by less than this.
        tol=1e-3,
    )
    return make_pipeline(MinMaxScaler(), network)
