"""The connection and the output that the commands share."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from datetime import UTC, datetime
from typing import Any

from firesteel.punchcard.client import Client
from firesteel.punchcard.settings import read_settings
from firesteel.punchcard.values import SUCCEEDED, JobInfo

Options = argparse.Namespace


def open_client(options: Options) -> Client:
    """Returns the client of the options, the environment or the configuration file."""
    found = read_settings(options.address, options.token, options.ca, options.insecure)
    return Client(found.address, found.token, found.ca, insecure=found.insecure)


def add_job(parser: argparse.ArgumentParser) -> None:
    """Adds the argument of a job."""
    parser.add_argument("job", metavar="JOB", help="the job's id")


def print_json(value: Any) -> None:
    """Prints a value as JSON in one line."""

    def plain(one: Any) -> Any:
        if isinstance(one, datetime):
            return one.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        raise TypeError(f"{one!r} has no JSON form")

    document = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
    print(json.dumps(document, default=plain), flush=True)


def print_job(job: JobInfo, as_json: bool, note: str = "") -> None:
    """Prints a job's id and state in one line, with the place in the queue and the reason."""
    if as_json:
        print_json(job)
        return
    place = f", place {job.position} in the queue" if job.position else ""
    # A reason may have several lines.
    reason = f": {' '.join(job.reason.split())}" if job.reason else ""
    print(f"{job.id}  {job.state}{place}{note}{reason}", flush=True)


def follow(client: Client, id: str, offset: int) -> int:
    """Prints a log until the job has finished; returns the exit code."""
    for text in client.follow_log(id, offset):
        sys.stdout.write(text)
        sys.stdout.flush()
    job = client.job(id)
    print(f"{job.id}  {job.state}{f': {job.reason}' if job.reason else ''}", file=sys.stderr)
    return 0 if job.state == SUCCEEDED else 1
