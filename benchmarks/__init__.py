"""Benchmarks of hybridbo against what a user would pick instead: ``python -m benchmarks --help``.

Not part of the wheel. Problems come from :mod:`benchmarks.suites`, methods from :mod:`benchmarks.methods`;
:mod:`benchmarks.run` writes one JSON line per (method, problem, seed), and :mod:`benchmarks.analyse` makes every table
from those lines alone.
"""
