"""The sealed graph's bytes and the fitted estimator in, what is proven of every output out.

Independent of ``edge_pipeline.convert``: the graph is read back from its bytes, the formulas are
read off scikit-learn a second time, and both become expressions in one normal form
(``expressions``).  docs/proof.md tells what that proves and what it takes for granted.
"""

from edge_pipeline.proof.prove import Proof, prove

__all__ = ["Proof", "prove"]
