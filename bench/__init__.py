"""Benchmarks: what is measured, how, and against whom; results are kept in RESULTS.md."""
