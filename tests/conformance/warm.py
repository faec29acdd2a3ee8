"""What every case imports, imported once: the fork server hands it to each process."""

import sklearn.utils._test_common.instance_generator  # noqa: F401
from edge_pipeline.conversion.registry import converters_of

import conformance.one  # noqa: F401

converters_of(None)
