"""Job deployment of dist-keras: ``Job``, ``Punchcard`` and ``generate_secret``.

They are those of :mod:`firesteel.punchcard`, imported when they are used: that package builds on
this one. ``python -m firesteel.distkeras.job_deployment --identity userX`` prints an entry for the
secrets file.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firesteel.punchcard.deployment import Punchcard, generate_secret
    from firesteel.punchcard.job import Job

__all__ = ["Job", "Punchcard", "generate_secret"]

_MODULES = {
    "Job": "firesteel.punchcard.job",
    "Punchcard": "firesteel.punchcard.deployment",
    "generate_secret": "firesteel.punchcard.deployment",
}
"""The module of each name."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)


def main() -> None:
    """Prints an entry for the secrets file."""
    parser = argparse.ArgumentParser(description="Prints an entry for the secrets file.")
    parser.add_argument("--identity", required=True, help="the user's name")
    __getattr__("generate_secret")(parser.parse_args().identity)


if __name__ == "__main__":
    main()
