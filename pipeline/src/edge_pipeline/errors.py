"""Every error this distribution raises on purpose.

::

    EdgePipelineError
    ├── RecipeError            recipe.toml asks for something that cannot be
    ├── DatasetError           the table is missing, or is not what the recipe says
    ├── TrainingError          the estimator refused the training rows
    ├── ConversionError        the fitted estimator does not become a graph
    │   └── UnsupportedEstimatorError  no exact conversion of this estimator is known
    ├── ParityError            the graph answers differently from scikit-learn
    ├── LimitError             the file is larger, slower, hungrier or worse than the recipe allows
    ├── MeasurementError       a sealed file cannot be measured or compared
    ├── SealError              the bundle was written but does not read back
    ├── SigningError           the private key cannot be made, read or used
    ├── KitError               no kit can be made for the board, or one cannot be read
    └── DeployError            a host is not named well, or refused the model

``OSError`` passes through unchanged: a full disk stays a full disk.
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
    """recipe.toml asks for something that cannot be.

    Attributes
    ----------
    file
        The recipe.
    key
        Dotted path of the key at fault, or None when it is about the whole file.
    """

    def __init__(self, message: str, *, file: Path | str, key: str | None = None) -> None:
        where = f"{file}: {key}" if key else f"{file}"
        super().__init__(f"{where}: {message}")
        self.file = Path(file)
        self.key = key


class DatasetError(EdgePipelineError):
    """The table is missing, unreadable, or not what the recipe says."""


class TrainingError(EdgePipelineError):
    """The estimator refused the training rows."""


class ConversionError(EdgePipelineError):
    """The fitted estimator, or the sample of its input, does not become a graph."""


class UnsupportedEstimatorError(ConversionError):
    """No exact conversion of this estimator, or of a parameter of it, is known.

    Attributes
    ----------
    path
        Where it stands, e.g. ``Pipeline.steps[1] -> ColumnTransformer['text']``.
    drawn
        Whether the reason is that the method has no answer for each row: scikit-learn draws it at
        random whenever it is asked, or answers with a block for each part.  A method like that is
        left out of the bundle when the estimator has others.
    """

    def __init__(self, message: str, *, path: str = "", drawn: bool = False) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.drawn = drawn


class ParityError(EdgePipelineError):
    """The graph answers differently from scikit-learn on some row.

    Attributes
    ----------
    output, row
        Name of the graph output, and zero-based position of the row among the parity rows.
    """

    def __init__(self, message: str, *, output: str, row: int | None = None) -> None:
        super().__init__(message)
        self.output = output
        self.row = row


class LimitError(EdgePipelineError):
    """The file is larger, slower, hungrier or worse than the recipe allows; nothing was written.

    Attributes
    ----------
    limit, allowed, found
        Name of the first limit broken, what it allows, and what was measured.
    """

    def __init__(self, message: str, *, limit: str, allowed: float, found: float) -> None:
        super().__init__(message)
        self.limit = limit
        self.allowed = allowed
        self.found = found


class MeasurementError(EdgePipelineError):
    """A sealed file cannot be measured here, or two cannot be compared."""


class SealError(EdgePipelineError):
    """The bundle was written but does not read back as it was meant."""


class SigningError(EdgePipelineError):
    """The private key cannot be made, read or used."""


class KitError(EdgePipelineError):
    """No kit can be made for the board, or a kit cannot be read."""


class DeployError(EdgePipelineError):
    """A host is not named well, cannot be reached, or refused the model.

    Attributes
    ----------
    host
        The host at fault, or None when it is about the command as a whole.
    """

    def __init__(self, message: str, *, host: str | None = None) -> None:
        super().__init__(f"{host}: {message}" if host else message)
        self.host = host
