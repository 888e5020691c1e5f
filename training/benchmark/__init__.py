"""Benchmarks of this project against the published order of work, in the same run."""
