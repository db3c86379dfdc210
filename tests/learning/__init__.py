"""Measures fits at default settings beside a PyTorch loop, for `make learn`."""
