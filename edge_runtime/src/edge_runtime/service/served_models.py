"""Hold the models that a service answers with, and test that each still predicts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from edge_runtime.engine.self_test import replay
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.model import Model
from edge_runtime.service.model_tensors import ModelTensors
from edge_runtime.service.rows import RowPredictor

__all__ = ["ServedModel", "ServedModels"]

SELF_TEST_SECONDS = 1.0
"""Age up to which the result of a self-test counts: whoever asks for health pays for few of them.
"""


class ServedModel:
    """A loaded model, and what its requests share.

    Attributes
    ----------
    name
        The name in its addresses.
    model, rows
        The model, and the reader of its rows.
    """

    def __init__(self, name: str, model: Model) -> None:
        self.name, self.model = name, model
        self.rows = RowPredictor(model)
        self._test = threading.Lock()
        self._tested_at, self._fault = -SELF_TEST_SECONDS, ""
        self._tensors: ModelTensors | None = None

    def identity(self) -> dict[str, Any]:
        """Return name, version and digest, as every answer has them."""
        origin = self.model.origin
        digest = None if origin is None else origin.sha256
        return {"model": self.name, "version": self.model.manifest.version, "digest": digest}

    def fault(self) -> str:
        """Predict the golden rows again; return why that failed, or an empty string.

        A model without golden rows predicts a row made from its schema.
        """
        with self._test:
            if time.monotonic() - self._tested_at >= SELF_TEST_SECONDS:
                self._fault = self._self_test()
                self._tested_at = time.monotonic()
            return self._fault

    def tensors(self) -> ModelTensors:
        """Return the model's inputs and outputs as tensors of the Open Inference Protocol."""
        if self._tensors is None:
            self._tensors = ModelTensors(self.model)
        return self._tensors

    def _self_test(self) -> str:
        model = self.model
        try:
            if model.manifest.golden.rows:
                replay(model.manifest, model._planner.predict_all)
            else:
                ModelTensors(model)  # which calls every method
        except (EdgeRuntimeError, MemoryError) as error:
            return str(error) or "not enough memory"
        return ""


class ServedModels:
    """Models by name.  A model may be replaced while requests run; they end with the old one."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        if not models:
            raise ValueError("expected at least one model, found none")
        for name in models:
            if not name or "/" in name:
                raise ValueError(f"expected a name without a slash, found {name!r:.80}")
        self._models = {name: ServedModel(name, model) for name, model in models.items()}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(list(self._models.values()))

    @property
    def first(self) -> ServedModel:
        """The model that addresses without a name mean."""
        return next(iter(self))

    def get(self, name: str) -> ServedModel | None:
        """Return the model of that name, or None."""
        return self._models.get(name)

    def replace(self, served: ServedModel) -> None:
        """Answer with *served* from the next request on."""
        # Assigning a value to a key that exists is atomic, and keeps the order.
        self._models[served.name] = served

    def faults(self) -> dict[str, str]:
        """Test every model; return why it failed, for those that did."""
        return {served.name: fault for served in self if (fault := served.fault())}
