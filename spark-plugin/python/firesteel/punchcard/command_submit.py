"""The command ``submit``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from firesteel.punchcard.client import Client
from firesteel.punchcard.command_support import Options, follow, open_client, print_job
from firesteel.punchcard.errors import PunchcardError
from firesteel.punchcard.values import JobInfo
from firesteel.punchcard.work import Program

NAME = "submit"
_UPLOADS = ("network", "weights", "file")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.usage = (
        f"firesteel-punchcard {NAME} [OPTION ...] PROGRAM [-- ARGUMENT ...]\n"
        f"       firesteel-punchcard {NAME} [OPTION ...] --work FILE"
    )
    parser.add_argument("program", metavar="PROGRAM", nargs="?", help="a Python file or a jar")
    parser.add_argument(
        "arguments",
        metavar="ARGUMENT",
        nargs=argparse.REMAINDER,
        help="the program's arguments; write -- before them if one is also an option of submit",
    )
    parser.add_argument("--name", help="the job's name; default: the name of the file")
    parser.add_argument(
        "--work",
        type=Path,
        metavar="FILE",
        help="instead of a program: a JSON file with the object 'work' of the API, in which the "
        "values of network, weights, file and files are paths on this machine",
    )
    parser.add_argument("--main-class", metavar="CLASS", help="the main class of a jar")
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="a file to copy into the program's working directory; repeatable",
    )
    parser.add_argument("--cluster", metavar="NAME", help="the cluster; default: the server's")
    parser.add_argument("--executors", metavar="N", type=int, help="the number of executors")
    parser.add_argument("--cores", metavar="N", type=int, help="the cores of each executor")
    parser.add_argument("--memory", help="the memory of each executor, such as 2g")
    parser.add_argument(
        "--retries",
        metavar="N",
        type=int,
        default=0,
        help="the number of further attempts if one fails; default: 0",
    )
    parser.add_argument(
        "--conf",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a Spark configuration key that the cluster allows; repeatable",
    )
    parser.add_argument(
        "--idempotency-key",
        metavar="KEY",
        help="a key of your choice; submitting again with the same key returns the same job",
    )
    parser.add_argument(
        "--follow", "-f", action="store_true", help="print the log until the job has finished"
    )
    parser.set_defaults(option_names=frozenset(parser._option_string_actions))


def split_arguments(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns a command line up to a ``--``, and the arguments of the program after it.

    argparse would drop the ``--``, which tells them from options of the command.
    """
    if "--" not in given or given[0] != NAME:
        return list(given), []
    place = given.index("--")
    return list(given[:place]), list(given[place + 1 :])


def run(options: Options) -> int:
    """Submits a job; returns the exit code."""
    program, rest = options.program, list(options.passed)
    if program is None and options.work is None and rest:
        program, *rest = rest
    if (program is None) == (options.work is None):
        raise ValueError("submit needs either a program or --work FILE")
    if options.work is not None and rest:
        raise ValueError(f"--work takes no arguments of a program, but '{rest[0]}' is given")
    _check_order(options)
    conf = dict(_pair("--conf", text) for text in options.conf)
    with open_client(options) as client:
        if options.work is not None:
            work: Any = _work(client, options.work)
            name = options.name or options.work.stem
        else:
            files = dict(_pair("--file", text, default_key=True) for text in options.file)
            work = Program(program, [*options.arguments, *rest], files, options.main_class)
            name = options.name or Path(program).name
        job = client.submit(
            name,
            work,
            cluster=options.cluster,
            executors=options.executors,
            cores=options.cores,
            memory=options.memory,
            retries=options.retries,
            conf=conf,
            idempotency_key=options.idempotency_key,
        )
        print_job(_with_place(client, job), options.json)
        return follow(client, job.id, 0) if options.follow else 0


def _check_order(options: Options) -> None:
    """Rejects an option of the command after the program, which would become its argument."""
    for argument in options.arguments:
        name = argument.partition("=")[0]
        if name in options.option_names:
            raise ValueError(
                f"the option {name} is after the program {options.program}: write it before the "
                "program, or, if it is an argument of the program, write -- before the arguments: "
                f"{NAME} {options.program} -- {' '.join(options.arguments)}"
            )


def _with_place(client: Client, job: JobInfo) -> JobInfo:
    """Returns a job that was just submitted, with its place in the queue."""
    if job.position is None and not job.is_final:
        # The answer to a submission has no place. The job is there, even if this fails.
        with suppress(PunchcardError):
            return client.job(job.id)
    return job


def _work(client: Client, file: Path) -> Mapping[str, Any]:
    """Returns the work of a file, after the uploads of the paths in it."""
    try:
        work = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"--work: {file} is not JSON: {error}") from None
    if not isinstance(work, dict):
        raise ValueError(f"--work: {file} must have a JSON object")

    def send(key: str, path: Any) -> str:
        if not isinstance(path, str):
            raise ValueError(f"--work: '{key}' in {file} must be a path, not {json.dumps(path)}")
        # A path in a file starts at its folder.
        return client.upload(file.parent / path).id

    for key in _UPLOADS:
        if work.get(key) is not None:
            work[key] = send(key, work[key])
    if "files" in work:
        if not isinstance(work["files"], dict):
            raise ValueError(f"--work: 'files' in {file} must be an object of paths by name")
        work["files"] = {name: send(f"files.{name}", path) for name, path in work["files"].items()}
    return work


def _pair(option: str, text: str, default_key: bool = False) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator and default_key:
        return Path(text).name, text
    if not separator or not key:
        raise ValueError(f"{option} must be KEY=VALUE, not '{text}'")
    return key, value
