"""The command line that the checks of the sources share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(
    known: Collection[str], report: Callable[[Path, Iterable[str]], list[str]], advice: str
) -> int:
    """Reports what the checks named on the command line find, or all known ones.

    Returns the exit status: 1 if something was found, 2 for an unknown name.
    """
    names = sys.argv[1:] or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"unknown check '{unknown[0]}'; the checks are {', '.join(known)}", file=sys.stderr)
        return 2
    found = report(ROOT, names)
    for finding in found:
        print(finding, file=sys.stderr)
    if found:
        print(f"{len(found)} finding(s): {advice}", file=sys.stderr)
    return 1 if found else 0
