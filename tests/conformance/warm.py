"""Import once, in the fork server, everything that the process of each case needs."""

import sklearn.utils._test_common.instance_generator  # noqa: F401
from edge_pipeline.conversion.registry import converters_of

import conformance.one  # noqa: F401

converters_of(None)
