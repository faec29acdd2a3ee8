"""Import once, in the fork server, everything that the process of each case needs.

It opens no model: onnxruntime's threads would not survive the fork.
"""

import edge_pipeline.export_estimator  # noqa: F401
import edge_runtime.engine.numpy_engine.session
import edge_runtime.engine.session
import edge_runtime.loading  # noqa: F401
from edge_pipeline.conversion.registry import converters_of

import conformance.one  # noqa: F401
from conformance.cases import names

converters_of(None)
names()
