"""Measures what fits at default settings learn, beside a plain PyTorch loop; `make learn` runs it."""
