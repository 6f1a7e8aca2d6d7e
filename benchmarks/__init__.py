"""Benchmarks: `make bench` prints one table; each row is a ratio taken in one run, on the same machine and load."""
