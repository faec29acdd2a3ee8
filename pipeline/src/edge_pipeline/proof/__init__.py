"""Prove from the sealed graph's bytes that every row gets scikit-learn's prediction.

Comparing rows finds differences on the rows compared.  Here the graph is read back from its bytes,
and the formulas are read off scikit-learn a second time.  Both become expressions in one normal
form (``expressions``).  Where they are equal, both sides do the same float64 operations in the same
order for every row.  Where they differ in the order of a sum, the difference has a bound.  Nothing
here imports ``edge_pipeline.conversion``.
"""
