"""A bundle's path or bytes in, a Model that answers as the trained estimator would out."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from edge_runtime import versions
from edge_runtime.answers import as_trained
from edge_runtime.border import MAX_CELLS_AT_ONCE, Border, Deriver, ExtraColumns
from edge_runtime.errors import IntegrityError, MethodNotAvailableError, ModelClosedError
from edge_runtime.graph_scan import scan
from edge_runtime.manifest import METHODS, Manifest, Output
from edge_runtime.opening import open_bundle
from edge_runtime.schema import MISSING_STRING, NUMBERS, STRINGS, Schema

if TYPE_CHECKING:
    from edge_runtime.contact import ContactLimits
    from edge_runtime.session import Session
    from edge_runtime.trust import TrustedKeys, TrustStore

__all__ = ["Model", "load"]

ROWS_AT_ONCE = 4096
"""Rows of a batch that the graph sees at once: what lies between its nodes then stays in the cache.

100,000 rows of 64 columns through a neural network: 78 ms so, 230 ms in one go (measured on 2 cores
of an EPYC, onnxruntime 1.32, without its memory arena), and memory stays flat.
"""

Answer = NDArray[Any] | list[NDArray[Any]]
_Method = TypeVar("_Method", bound=Callable[..., Any])


def load(
    source: str | os.PathLike[str] | bytes,
    *,
    extra_columns: ExtraColumns = "refuse",
    threads: int = 1,
    trusted_keys: TrustedKeys | TrustStore | Sequence[str | os.PathLike[str] | bytes] | None = None,
    isolate: bool | ContactLimits = False,
) -> Model:
    """Read a bundle, check everything that can be checked, and get it ready to answer.

    Checked in this order: size, seal, digest, signature, manifest, the installed onnxruntime, the
    graph's bytes, only then onnxruntime's own reading of them, and the golden rows, which are asked
    again on this machine.

    Parameters
    ----------
    source
        Path of the file, or its bytes.
    extra_columns
        Whether a column that the schema does not name is refused or ignored.
    threads
        Threads that one call may use; one suits single rows and small devices.
    trusted_keys
        Public keys (PEM files or their bytes, or a TrustStore) of which one must have signed the
        file.  None: signatures are not looked at, and the digest alone finds damage, not malice.
        No environment variable and no folder of keys is consulted.
    isolate
        Whether a process of its own tries the file first, within limits of memory and time: then a
        file that crashes, hangs or bloats onnxruntime is a ContactError.  Takes a second or less.

    Raises
    ------
    BundleError
        The file cannot be trusted or read, or not with this onnxruntime.
    SelfTestError
        A golden row answers differently here.
    TrustError
        The trusted keys cannot be read, or signatures not be checked here.
    OSError
        The file cannot be opened.
    """
    keys: TrustedKeys | None = None
    if trusted_keys is not None:
        from edge_runtime.trust import trusted

        keys = trusted(trusted_keys)
    opened = open_bundle(source, trusted=keys)
    if isolate:
        from edge_runtime.contact import ContactLimits, first_contact

        limits = isolate if isinstance(isolate, ContactLimits) else None
        first_contact(opened.graph, opened.manifest, limits)
    return Model.from_parts(
        opened.graph, opened.manifest, extra_columns=extra_columns, threads=threads
    )


class _Served:
    """A method that exists on the models whose estimator had it, as scikit-learn's own do."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __get__(self, model: Model | None, owner: type[Model] | None = None) -> Any:
        if model is None:
            return self._function
        model._check_served(self.__name__)
        return self._function.__get__(model, owner)


def _served(function: _Method) -> _Method:
    return cast("_Method", _Served(function))


class Model:
    """A trained estimator without scikit-learn.  Made by :func:`load`.

    Any number of threads may call one model at once.  It answers the methods that the estimator
    had; ``hasattr(model, "predict_proba")`` tells.

    Attributes
    ----------
    manifest
        All that the bundle says of itself.
    """

    def __init__(
        self, graph: bytes, manifest: Manifest, *, extra_columns: ExtraColumns, threads: int
    ) -> None:
        if type(threads) is not int or threads < 1:
            raise ValueError(f"threads must be a whole number of at least 1, found {threads!r}")
        self._border = Border(manifest.schema, extra_columns=extra_columns)
        versions.check_version(
            versions.installed_onnxruntime(), platform.machine(), manifest.requires.onnxruntime
        )
        versions.check_opsets(manifest.requires.opsets)
        self._plans = _plans(manifest)
        self._deriver = Deriver(manifest.schema) if manifest.schema.derived else None
        self._rows_at_once = ROWS_AT_ONCE
        if self._deriver is not None:
            width = manifest.schema.numbers_width
            self._rows_at_once = max(1, min(ROWS_AT_ONCE, MAX_CELLS_AT_ONCE // width))
        scan(graph, manifest)
        # Not at the top: a refused onnxruntime must not even be imported.
        from edge_runtime.session import Session
        from edge_runtime.single import one_answer

        self.manifest = manifest
        session = Session(graph, threads=threads)
        self._inputs = frozenset(signature.name for signature in session.inputs)
        self._run: Callable[..., list[NDArray[Any]]] = session.run
        _check_graph(session, manifest)
        predict = self._plans.get("predict", ())
        self._one: Callable[[Any], Any] = self._no_predict
        if len(predict) == 1:
            self._one = one_answer(session, self._border, predict[0])

    @classmethod
    def from_parts(
        cls,
        graph: bytes,
        manifest: Manifest,
        *,
        extra_columns: ExtraColumns = "refuse",
        threads: int = 1,
    ) -> Model:
        """A model from parts that no seal vouches for: for the build machine, before it seals.

        The golden rows are replayed when there are any.  Parameters and errors are those of
        :func:`load`.
        """
        from edge_runtime.golden import replay

        model = cls(graph, manifest, extra_columns=extra_columns, threads=threads)
        replay(manifest, model._all_outputs)
        return model

    @property
    def schema(self) -> Schema:
        """What one row looks like."""
        return self.manifest.schema

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the trained estimator had, and this model serves."""
        return tuple(self._plans)

    @_served
    def predict(self, X: Any) -> Answer:
        """Answer for every row of *X* as the trained estimator would.

        Parameters
        ----------
        X
            Array or list of rows (n_samples, n_features) in the column order of ``self.schema``;
            data frame, dict of columns or list of dicts with its names; list of str for a text
            model.  Read, never written to.

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or numbers in the unit of the training target.

        Raises
        ------
        InputError
            A column is missing, has the wrong type, or holds a value the schema bans.
        """
        return self._answer("predict", X)

    @_served
    def predict_proba(self, X: Any) -> Answer:
        """Probability of each class of ``manifest.classes["predict"]``, in that order.

        Parameters and errors are those of :meth:`predict`.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
            Or a list of them, one a target.
        """
        return self._answer("predict_proba", X)

    @_served
    def decision_function(self, X: Any) -> Answer:
        """Confidence scores, as the estimator's decision_function; see :meth:`predict`."""
        return self._answer("decision_function", X)

    @_served
    def score_samples(self, X: Any) -> Answer:
        """Score of every row, as the estimator's score_samples; see :meth:`predict`."""
        return self._answer("score_samples", X)

    @_served
    def transform(self, X: Any) -> Answer:
        """The transformed rows, dense, as the estimator's transform; see :meth:`predict`."""
        return self._answer("transform", X)

    def predict_one(self, row: Any) -> Any:
        """Answer for one row: the fast path.

        Parameters
        ----------
        row
            A dict by column name, a sequence or a 1-d array in the order of ``self.schema``.
            Checked as strictly as by :meth:`predict`.

        Returns
        -------
        str, int, float, bool or list
            A plain Python value; a list when the estimator has several targets.
        """
        return self._one(row)

    def close(self) -> None:
        """Free the memory; every later question raises ModelClosedError.  Closing twice is fine.

        Calls that are running in other threads finish.
        """
        self._run = self._one = _closed

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        m = self.manifest
        return (
            f"<Model {m.name!r} version {m.version}: {m.task}, {len(m.schema.columns)} columns, "
            f"{', '.join(self._plans)}>"
        )

    def _answer(self, method: str, X: Any) -> Answer:
        outputs = self._plans[method]
        feeds, n_rows = self._border.feeds(X)
        found = self._outputs(outputs, feeds, n_rows)
        return found if outputs[0].item is not None else found[0]

    def _outputs(
        self, outputs: tuple[Output, ...], feeds: dict[str, NDArray[Any]], n_rows: int
    ) -> list[NDArray[Any]]:
        names = [output.name for output in outputs]
        if not n_rows:
            # Not every operator takes zero rows; the shape is that of one row, without the row.
            one = self._run(names, self._fed(_some_row(self.schema)))
            return [as_trained(a[:0], o, 0) for a, o in zip(one, outputs, strict=True)]
        if n_rows <= self._rows_at_once:
            found = self._run(names, self._ready(feeds))
        else:
            step = self._rows_at_once
            parts = [
                self._run(names, self._ready({n: b[i : i + step] for n, b in feeds.items()}, i))
                for i in range(0, n_rows, step)
            ]
            found = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        return [as_trained(a, o, n_rows) for a, o in zip(found, outputs, strict=True)]

    def _all_outputs(self, feeds: dict[str, NDArray[Any]], n_rows: int) -> dict[str, NDArray[Any]]:
        outputs = self.manifest.outputs
        found = self._outputs(outputs, feeds, n_rows)
        return {output.name: answer for output, answer in zip(outputs, found, strict=True)}

    def _ready(self, feeds: dict[str, NDArray[Any]], first_row: int = 0) -> dict[str, NDArray[Any]]:
        """Whatever the graph reads; *first_row* counts in the caller's table."""
        if self._deriver is not None:
            feeds = self._deriver.widen(feeds, first_row)
        return self._fed(feeds)

    def _fed(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Without the block that the graph does not read (an estimator may use no text at all)."""
        if len(feeds) == len(self._inputs):
            return feeds
        return {name: block for name, block in feeds.items() if name in self._inputs}

    def _check_served(self, method: str) -> None:
        if method not in self._plans:
            raise MethodNotAvailableError(
                f"{self.manifest.name!r} has no {method}, as the trained estimator had none; it "
                f"has {', '.join(self._plans)}"
            )

    def _no_predict(self, row: Any) -> Any:
        self._check_served("predict")
        raise MethodNotAvailableError("predict gives several arrays; use predict([row])")


def _check_graph(session: Session, manifest: Manifest) -> None:
    given = {signature.name for signature in session.outputs}
    for output in manifest.outputs:
        if output.name not in given:
            raise IntegrityError(
                f"the graph has no output {output.name!r}, which the manifest names; build the "
                "model again"
            )
    kinds = {
        NUMBERS: (np.float64, manifest.schema.numbers_width),
        STRINGS: (np.object_, len(manifest.schema.textual)),
    }
    for signature in session.inputs:
        element_type, columns = kinds.get(signature.name, (None, 0))
        if signature.element_type is not element_type or not columns:
            raise IntegrityError(
                f"the graph asks for {signature.name!r}, which the schema does not give; build "
                "the model again"
            )


def _plans(manifest: Manifest) -> dict[str, tuple[Output, ...]]:
    """Method to its outputs, in the order of :data:`METHODS`."""
    plans: dict[str, tuple[Output, ...]] = {}
    for method in METHODS:
        outputs = [output for output in manifest.outputs if output.method == method]
        if not outputs:
            continue
        if len(outputs) > 1 or outputs[0].item is not None:
            outputs.sort(key=lambda output: -1 if output.item is None else output.item)
            if [output.item for output in outputs] != list(range(len(outputs))):
                raise IntegrityError(f"manifest: the outputs of {method} are not numbered from 0")
        plans[method] = tuple(outputs)
    return plans


def _some_row(schema: Schema) -> dict[str, NDArray[Any]]:
    """One row that the graph answers, whatever the answer."""
    numbers = [schema.columns[i].minimum or 0.0 for i in schema.numeric]
    numbers += [0.0] * (schema.numbers_width - len(numbers))
    strings = [
        column.categories[0] if column.categories else MISSING_STRING if column.missing else "a"
        for column in (schema.columns[i] for i in schema.textual)
    ]
    return {
        NUMBERS: np.array([numbers], dtype=np.float64),
        STRINGS: np.array([strings], dtype=object),
    }


def _closed(*_: Any) -> Any:
    raise ModelClosedError("the model is closed; load it again")
