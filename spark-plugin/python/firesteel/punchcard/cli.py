"""The command line: ``firesteel-punchcard``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from firesteel.punchcard import command_submit, commands, native
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
    given, passed = command_submit.split_arguments(given)
    options = parser().parse_args(given)
    options.passed = passed
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
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error)
    if as_json:
        found = {"code": getattr(error, "code", ""), "detail": text}
        print(json.dumps({"error": found}), file=sys.stderr)
    else:
        print(f"firesteel-punchcard: {text}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the client's commands."""
    shared = argparse.ArgumentParser(add_help=False)
    group = shared.add_argument_group("server")
    group.add_argument("--address", help="the server's address, such as https://host:7438")
    group.add_argument(
        "--token",
        help="the token; other users of this machine can list it, so prefer the environment or "
        "the file",
    )
    group.add_argument(
        "--ca", metavar="FILE", help="a PEM file of the certificate authorities to trust"
    )
    group.add_argument(
        "--insecure", action="store_true", help="send the token to another machine over plain HTTP"
    )
    shared.add_argument("--json", action="store_true", help="print JSON, one document a line")
    top = argparse.ArgumentParser(
        prog="firesteel-punchcard",
        description="Submits jobs to a Punchcard server and manages them.",
        epilog="All other commands, such as serve, token, user and secrets, are commands of the "
        "server: see 'firesteel-punchcard help'. The address and the token are taken from the "
        "options, from FIRESTEEL_PUNCHCARD_ADDRESS and FIRESTEEL_PUNCHCARD_TOKEN, or from "
        "~/.config/firesteel/punchcard.toml.",
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
