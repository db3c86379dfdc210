"""The server's program, ``firesteel-punchcard``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

VARIABLE = "FIRESTEEL_PUNCHCARD_BINARY"
"""The environment variable that names another program."""
_NAME = "firesteel-punchcard"
_PACKAGED = Path(__file__).resolve().parent / "bin" / _NAME


def server_binary() -> Path:
    """Returns the server's program.

    Returns
    -------
    Path
        That of the environment variable ``FIRESTEEL_PUNCHCARD_BINARY``, else that of the package.

    Raises
    ------
    FileNotFoundError
        If it is missing, or not a program.
    """
    given = os.environ.get(VARIABLE)
    path = Path(given) if given else _PACKAGED
    if not path.is_file() or not os.access(path, os.X_OK):
        reason = (
            f"{VARIABLE} names {path}, which is not a program"
            if given
            else f"there is no server program {path}; install the wheel for Linux on x86-64, "
            f"or set {VARIABLE}"
        )
        raise FileNotFoundError(reason)
    return path.resolve()


def execute(arguments: Sequence[str]) -> NoReturn:
    """Replaces this process by the server's program with these arguments.

    Raises
    ------
    FileNotFoundError
        As of :func:`server_binary`.
    """
    path = str(server_binary())
    os.execv(path, [path, *arguments])
