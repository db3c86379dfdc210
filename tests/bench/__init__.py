"""Benchmarks beside the alternatives of a user; `make bench` runs them all.

Each benchmark is a program that prints lines of the form
`bench <name> ours <number> beside <number> ratio <number> aim <ratio>`. A ratio is ours / beside;
an aim that begins with `<=` is met by a ratio at or below it, another one by a ratio at or above.
"""
