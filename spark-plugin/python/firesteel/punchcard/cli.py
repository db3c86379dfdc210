"""The command line: ``firesteel-punchcard``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from firesteel.punchcard import commands, native
from firesteel.punchcard.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    PunchcardError,
    UnavailableError,
)

FAILURE, USAGE, DENIED, MISSING, UNREACHABLE = 1, 2, 3, 4, 5
"""The exit codes beside 0; USAGE is also that of a request that the server does not accept."""

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (NotAuthenticatedError, DENIED),
    (ForbiddenError, DENIED),
    (NotFoundError, MISSING),
    (InvalidRequestError, USAGE),
    (UnavailableError, UNREACHABLE),
    (PunchcardError, FAILURE),
    (ImportError, FAILURE),
    (OSError, FAILURE),
    (TypeError, USAGE),
    (ValueError, USAGE),
)
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code.

    Commands that are not the client's are those of the server's program, which replaces this
    process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and not given[0].startswith("-") and given[0] not in commands.COMMANDS:
        try:
            native.execute(given)
        except FileNotFoundError as error:
            print(
                f"firesteel-punchcard: '{given[0]}' is not a command of the client "
                f"({', '.join(commands.COMMANDS)}), and {error}",
                file=sys.stderr,
            )
            return USAGE
    options = parser().parse_args(given)
    try:
        code: int = options.command(options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of the output, such as head, has had enough.
        sys.stderr.close()
        return FAILURE
    except tuple(kind for kind, _ in _CODES) as error:
        _report(error, options.json)
        return next(code for kind, code in _CODES if isinstance(error, kind))
    return code


def _report(error: Exception, as_json: bool) -> None:
    if as_json:
        found = {"code": getattr(error, "code", ""), "detail": str(error)}
        print(json.dumps({"error": found}), file=sys.stderr)
    else:
        print(f"firesteel-punchcard: {error}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the client's commands."""
    shared = argparse.ArgumentParser(add_help=False)
    group = shared.add_argument_group("server")
    group.add_argument("--address", help="the server, such as https://host:7438")
    group.add_argument("--token", help="the token; better in the environment or the file")
    group.add_argument("--ca", help="a file with the certificates of authorities, in PEM")
    group.add_argument(
        "--insecure", action="store_true", help="send the token over plain HTTP to another machine"
    )
    shared.add_argument("--json", action="store_true", help="print JSON")
    top = argparse.ArgumentParser(
        prog="firesteel-punchcard",
        description="Jobs on a Punchcard server.",
        epilog="Commands of the server, such as serve, token, user and secrets: see "
        "'firesteel-punchcard help'. Address and token are options, FIRESTEEL_PUNCHCARD_ADDRESS "
        "and FIRESTEEL_PUNCHCARD_TOKEN, or in ~/.config/firesteel/punchcard.toml.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, text, add) in commands.COMMANDS.items():
        one = subparsers.add_parser(name, help=text, description=text, parents=[shared])
        add(one)
        one.set_defaults(command=command)
    return top


def _version() -> str:
    try:
        return metadata.version("firesteel")
    except metadata.PackageNotFoundError:
        return "unknown (firesteel is not installed as a package)"


def run() -> Any:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
