"""The benchmark suite: runs managers, keeps results, tells what they say.

Kept empty of imports: a worker process imports from this package and must not load numpy,
matplotlib or pyperf with it.
"""
