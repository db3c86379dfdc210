"""Warnings of fits, through Python's ``warnings``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable

_INSIDE = ("firesteel", "pyspark")


class FitWarning(UserWarning):
    """A warning about a fit, for instance that its model has not learned.

    Each text of ``model.summary.warnings`` is issued as one.

    Examples
    --------
    >>> import warnings
    >>> import firesteel
    >>> warnings.simplefilter("error", firesteel.FitWarning)  # a fit with a warning raises it
    >>> warnings.simplefilter("ignore", firesteel.FitWarning)  # none is shown
    """


def issue(texts: Iterable[str]) -> None:
    """Issues warnings that point to the calling line outside this package and PySpark."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
        level += 1
    for text in texts:
        warnings.warn(text, FitWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module.split(".", 1)[0] in _INSIDE
