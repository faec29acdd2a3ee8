"""What every case imports, imported once: the fork server hands it to each process."""

import edge_pipeline.convert.registry
import sklearn.utils._test_common.instance_generator  # noqa: F401

import conformance.one  # noqa: F401

edge_pipeline.convert.registry.converters_of(None)
