"""Benchmarks: ratios against a peer or the physical limit, measured side by side in one run."""
