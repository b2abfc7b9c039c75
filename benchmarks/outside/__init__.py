"""Peers in environments of their own: child programs that :mod:`benchmarks.external` talks to over JSON lines.

What is here runs where hybridbo is not installed, and imports nothing of it: standard library and the peer alone.
"""
