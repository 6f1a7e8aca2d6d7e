"""Benchmarks: one command prints the performance table, each row a ratio taken in one run."""
