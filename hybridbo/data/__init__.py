"""Data shipped with the package: the recorded reply of a real model that ``hybridbo demo`` plays when no key is set."""
