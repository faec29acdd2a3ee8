"""Define every error that edge_pipeline raises on purpose.

::

    EdgePipelineError
    ├── RecipeError            recipe.toml asks for something impossible
    ├── DatasetError           the table is missing, or does not match the recipe
    ├── TrainingError          the estimator refused the training rows
    ├── ConversionError        the fitted estimator cannot be converted
    │   └── UnsupportedEstimatorError  this estimator has no exact conversion
    ├── ParityError            the graph predicts differently from scikit-learn
    ├── LimitError             the file is larger, slower, hungrier or worse than the recipe allows
    ├── MeasurementError       a sealed file cannot be measured or compared
    ├── SealError              the written bundle cannot be read back
    ├── SigningError           the private key cannot be made, read or used
    ├── KitError               no kit can be made for the board, or one cannot be read
    └── DeployError            a host is invalid, unreachable, or refused the model

``OSError`` passes through unchanged, for example when the disk is full.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ConversionError",
    "DatasetError",
    "DeployError",
    "EdgePipelineError",
    "KitError",
    "LimitError",
    "MeasurementError",
    "ParityError",
    "RecipeError",
    "SealError",
    "SigningError",
    "TrainingError",
    "UnsupportedEstimatorError",
]


class EdgePipelineError(Exception):
    """Root of every error that edge_pipeline raises on purpose."""


class RecipeError(EdgePipelineError):
    """recipe.toml asks for something impossible.

    Attributes
    ----------
    file
        The recipe.
    key
        Dotted path of the key at fault, or None when the fault is in the whole file.
    """

    def __init__(self, message: str, *, file: Path | str, key: str | None = None) -> None:
        where = f"{file}: {key}" if key else f"{file}"
        super().__init__(f"{where}: {message}")
        self.file = Path(file)
        self.key = key


class DatasetError(EdgePipelineError):
    """The table is missing, unreadable, or does not match the recipe."""


class TrainingError(EdgePipelineError):
    """The estimator refused the training rows."""


class ConversionError(EdgePipelineError):
    """The fitted estimator, or the sample of its input, cannot be converted."""


class UnsupportedEstimatorError(ConversionError):
    """The estimator, or one of its parameters, has no exact conversion.

    Attributes
    ----------
    path
        Place of the estimator, e.g. ``Pipeline.steps[1] -> ColumnTransformer['text']``.
    is_random
        Whether the method has no fixed output for each row: scikit-learn draws it at random in
        every call, or returns a block for each part.  The bundle then leaves out this method, if
        the estimator has others.
    """

    def __init__(self, message: str, *, path: str = "", is_random: bool = False) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.is_random = is_random


class ParityError(EdgePipelineError):
    """The graph predicts differently from scikit-learn on some row.

    Attributes
    ----------
    difference
        The message without the remedy.
    remedy
        How to go on.
    output, row
        Name of the graph output, and number of the row: its label in an index of numbers, else its
        zero-based position in X or X_test.  Of a row that was made for the comparison, its
        position among them.
    allows_new_missing_values
        Whether the graph accepts missing values in columns that had none in training: a graph
        without them may agree.
    """

    def __init__(
        self,
        difference: str,
        *,
        output: str,
        row: int | None = None,
        remedy: str = "report it with the estimator's parameters: nothing was sealed",
        allows_new_missing_values: bool = False,
    ) -> None:
        super().__init__(f"{difference}; {remedy}")
        self.difference = difference
        self.remedy = remedy
        self.output = output
        self.row = row
        self.allows_new_missing_values = allows_new_missing_values


class LimitError(EdgePipelineError):
    """The file is larger, slower, hungrier or worse than the recipe allows; nothing was written.

    Attributes
    ----------
    limit, allowed, measured_value
        Name of the first limit broken, the value that it allows, and the measured value.
    """

    def __init__(self, message: str, *, limit: str, allowed: float, measured_value: float) -> None:
        super().__init__(message)
        self.limit = limit
        self.allowed = allowed
        self.measured_value = measured_value


class MeasurementError(EdgePipelineError):
    """A sealed file cannot be measured here, or two cannot be compared."""


class SealError(EdgePipelineError):
    """The written bundle cannot be read back unchanged."""


class SigningError(EdgePipelineError):
    """The private key cannot be made, read or used."""


class KitError(EdgePipelineError):
    """No kit can be made for the board, or a kit cannot be read."""


class DeployError(EdgePipelineError):
    """A host is invalid, cannot be reached, or refused the model.

    Attributes
    ----------
    host
        The host at fault, or None when the whole command failed.
    """

    def __init__(self, message: str, *, host: str | None = None) -> None:
        super().__init__(f"{host}: {message}" if host else message)
        self.host = host
