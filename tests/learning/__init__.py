"""Measures what fits at default settings learn, beside a PyTorch loop, for `make learn`."""
