"""Load a sealed bundle: check everything that can be checked, then make the model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_runtime.bundle.bundle_file import BundleSource, bundle_source, open_bundle
from edge_runtime.errors import BundleError, IntegrityError, NotEnoughMemoryError
from edge_runtime.model import Model
from edge_runtime.records import record

if TYPE_CHECKING:
    from edge_runtime.engine.selection import Engine
    from edge_runtime.inputs.tables import ExtraColumns
    from edge_runtime.isolation import IsolationLimits
    from edge_runtime.outside_option import Outside
    from edge_runtime.trust.keys import TrustedKeys, TrustStore

__all__ = ["Origin", "load"]


def load(
    source: BundleSource,
    *,
    extra_columns: ExtraColumns = "refuse",
    threads: int = 1,
    outside: Outside = "answer",
    engine: Engine = "auto",
    trusted_keys: TrustedKeys | TrustStore | Sequence[str | os.PathLike[str] | bytes] | None = None,
    isolate: bool | IsolationLimits = False,
) -> Model:
    """Read a bundle, check everything that can be checked, and get it ready to predict.

    The checks, in this order: size, seal, digest, signature, manifest, the installed onnxruntime,
    the bytes of the graph.  Only then onnxruntime reads the graph.  Last, the model predicts the
    golden rows again on this machine.

    Parameters
    ----------
    source
        Path of the file, or its bytes.
    extra_columns
        Whether a column that the schema does not name is refused or ignored.
    threads
        Threads that one call may use; one suits single rows and small devices.
    outside
        The treatment of rows outside the training data (see :meth:`Model.check_rows`): ``answer``
        predicts them, ``warn`` also gives one OutsideTrainingWarning a call, ``refuse`` raises
        InputError with row and column.
    engine
        The library that computes: ``onnxruntime``, or ``numpy`` where onnxruntime does not exist.
        ``auto`` takes onnxruntime if it is installed, can be imported, and is not a release that
        predicts wrongly on this CPU.  Otherwise it takes numpy; an EngineWarning says why, unless
        onnxruntime is not installed.  ``model.engine`` has the result.
    trusted_keys
        Public keys (PEM files or their bytes, or a TrustStore), one of which must have signed the
        file.  None: no signature is checked, and the digest alone finds damage, not malice.
        No environment variable and no folder of keys is consulted.
    isolate
        Whether a child process tries the file first, within limits of memory and time: it loads
        it, and predicts golden rows and rows made from the schema.  A file that crashes, hangs or
        bloats onnxruntime then raises IsolationError.  ``model.trial`` says what was tried.  Takes
        a second or less for most models.

    Raises
    ------
    BundleError
        The file cannot be trusted or read, or not with this onnxruntime.
    SelfTestError
        The model predicts a golden row differently here.
    TrustError
        The trusted keys cannot be read, or signatures cannot be checked here.
    OSError
        The file cannot be opened.
    """
    try:
        keys: TrustedKeys | None = None
        if trusted_keys is not None:
            from edge_runtime.trust.keys import as_trusted_keys

            keys = as_trusted_keys(trusted_keys)
        source = bundle_source(source)
        opened = open_bundle(source, verify=keys.check if keys else None)
        trial: dict[str, Any] | None = None
        if isolate:
            from edge_runtime.isolation import IsolationLimits, try_in_child

            limits = isolate if isinstance(isolate, IsolationLimits) else None
            trial = try_in_child(opened.graph, opened.manifest, limits, engine)
        location = source if isinstance(source, bytes) else os.path.abspath(source)
        model = Model.from_parts(
            opened.graph,
            opened.manifest,
            extra_columns=extra_columns,
            threads=threads,
            outside=outside,
            engine=engine,
        )
        model.origin = Origin(
            location, opened.seal.sha256, extra_columns, threads, keys, outside, model.engine
        )
        model.trial = trial
        return model
    except BundleError:
        raise
    except MemoryError as error:
        name = "the bundle" if isinstance(source, bytes | bytearray | memoryview) else str(source)
        raise NotEnoughMemoryError(
            f"not enough memory to load {name:.200}; end other programs, or build a smaller model"
        ) from error


@record(frozen=True, slots=True)
class Origin:
    """Where a model was loaded from: what another process needs to load the very same one.

    Attributes
    ----------
    source
        Absolute path of the file, or its bytes.
    sha256
        The digest in its seal.
    extra_columns, threads, trusted_keys, outside, engine
        As passed to :func:`load`.
    """

    source: str | bytes
    sha256: str
    extra_columns: ExtraColumns
    threads: int
    trusted_keys: TrustedKeys | None
    outside: Outside = "answer"
    engine: Engine = "auto"

    def load(self) -> Model:
        """Load the same model again, with the same checks.

        Raises
        ------
        IntegrityError
            The file has been replaced by another bundle.
        """
        model = load(
            self.source,
            extra_columns=self.extra_columns,
            threads=self.threads,
            outside=self.outside,
            engine=self.engine,
            trusted_keys=self.trusted_keys,
        )
        if model.origin is None or model.origin.sha256 != self.sha256:
            raise IntegrityError(
                f"{self.source!r:.200} holds another bundle now, whose SHA-256 is not "
                f"{self.sha256[:16]}…; load it anew"
            )
        return model
