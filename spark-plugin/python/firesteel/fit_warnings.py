"""Warnings of fits, through Python's ``warnings``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable

_INSIDE = ("firesteel", "pyspark")


class FitWarning(UserWarning):
    """Something that the user of a fit should know, such as that its model has not learnt.

    Each text of ``model.summary.warnings`` is issued as one.

    Examples
    --------
    >>> import warnings
    >>> import firesteel
    >>> warnings.simplefilter("error", firesteel.FitWarning)  # a fit with a warning raises it
    >>> warnings.simplefilter("ignore", firesteel.FitWarning)  # none is shown
    """


def issue(texts: Iterable[str]) -> None:
    """Issues warnings, at the line outside of this package and of PySpark that led here."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
        level += 1
    for text in texts:
        warnings.warn(text, FitWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module.split(".", 1)[0] in _INSIDE
