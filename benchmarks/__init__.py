"""Benchmarks of speed and quality: each prints a table and writes JSON; run one by `python -m benchmarks.NAME`."""
