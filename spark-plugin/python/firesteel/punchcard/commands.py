"""The client's commands of the command line."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firesteel.punchcard.client import Client
from firesteel.punchcard.settings import read_settings
from firesteel.punchcard.values import SUCCEEDED, Event, JobInfo, Progress
from firesteel.punchcard.work import Program

Options = argparse.Namespace
_UPLOADS = ("network", "weights", "file")
_ALL = 1 << 62


def _client(options: Options) -> Client:
    found = read_settings(options.address, options.token, options.ca, options.insecure)
    return Client(found.address, found.token, found.ca, insecure=found.insecure)


def _print_json(value: Any) -> None:
    def plain(one: Any) -> Any:
        if isinstance(one, datetime):
            return one.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        raise TypeError(f"{one!r} has no JSON form")

    document = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
    print(json.dumps(document, default=plain), flush=True)


def _show(job: JobInfo, as_json: bool, note: str = "") -> None:
    if as_json:
        _print_json(job)
    else:
        place = f", place {job.position} in the queue" if job.position else ""
        reason = f": {job.reason}" if job.reason else ""
        print(f"{job.id}  {job.state}{place}{note}{reason}")


def _add_job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", help="the job's id")


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", nargs="?", help="a Python file or a jar")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the program's arguments")
    parser.add_argument("--name", help="the job's name; by default the file's")
    parser.add_argument(
        "--work",
        type=Path,
        metavar="FILE",
        help="in place of a program: the JSON object 'work' of the API, in which network, weights, "
        "file and files are paths on this machine",
    )
    parser.add_argument("--main-class", help="the main class of a jar")
    parser.add_argument(
        "--file", action="append", default=[], metavar="[NAME=]PATH", help="a file for the program"
    )
    parser.add_argument("--cluster", help="the cluster's name")
    parser.add_argument("--executors", type=int, help="the number of executors")
    parser.add_argument("--cores", type=int, help="the cores of each executor")
    parser.add_argument("--memory", help="the memory of each executor, such as 2g")
    parser.add_argument("--retries", type=int, default=0, help="further attempts after a failure")
    parser.add_argument(
        "--conf", action="append", default=[], metavar="KEY=VALUE", help="a key of Spark"
    )
    parser.add_argument("--idempotency-key", help="a second submission with it gives the same job")
    parser.add_argument("--follow", "-f", action="store_true", help="print the log until the end")


def _submit(options: Options) -> int:
    if (options.program is None) == (options.work is None):
        raise ValueError("submit needs either a program or --work FILE")
    conf = dict(_pair("--conf", text) for text in options.conf)
    with _client(options) as client:
        if options.work is not None:
            work: Any = _work(client, options.work)
            name = options.name or options.work.stem
        else:
            files = dict(_pair("--file", text, default_key=True) for text in options.file)
            arguments = options.arguments[options.arguments[:1] == ["--"] :]
            work = Program(options.program, arguments, files, options.main_class)
            name = options.name or Path(options.program).name
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
        _show(job, options.json)
        if not options.follow:
            return 0
        return _follow(client, job.id, 0)


def _work(client: Client, file: Path) -> Mapping[str, Any]:
    """Returns the work of a file, after the uploads of the paths in it."""
    work = json.loads(file.read_text())
    if not isinstance(work, dict):
        raise ValueError(f"{file} must have a JSON object")

    def send(path: str) -> str:
        # A path in a file starts at its folder.
        return client.upload(file.parent / path).id

    for key in _UPLOADS:
        if work.get(key) is not None:
            work[key] = send(work[key])
    if "files" in work:
        work["files"] = {name: send(path) for name, path in work["files"].items()}
    return work


def _pair(option: str, text: str, default_key: bool = False) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator and default_key:
        return Path(text).name, text
    if not separator or not key:
        raise ValueError(f"{option} must be KEY=VALUE, not '{text}'")
    return key, value


def _follow(client: Client, id: str, offset: int) -> int:
    for text in client.follow_log(id, offset):
        sys.stdout.write(text)
        sys.stdout.flush()
    job = client.job(id)
    print(f"{job.id}  {job.state}{f': {job.reason}' if job.reason else ''}", file=sys.stderr)
    return 0 if job.state == SUCCEEDED else 1


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", action="append", help="only jobs of this state; repeatable")
    parser.add_argument("--user", help="only jobs of this user")
    parser.add_argument("--name", help="only jobs whose name contains this")
    parser.add_argument("--limit", type=int, default=50, help="the number of jobs, 0 for all")


def _list(options: Options) -> int:
    with _client(options) as client:
        states = [state.upper() for state in options.state or []]
        jobs = client.jobs(state=states, user=options.user, name=options.name)
        found = [job for job, _ in zip(jobs, range(options.limit or _ALL), strict=False)]
    if options.json:
        for job in found:
            _print_json(job)
        return 0
    rows = [("ID", "STATE", "USER", "CREATED", "PROGRESS", "NAME")]
    for job in found:
        created = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        rows.append((job.id, job.state, job.user, created, _epochs(job.progress), job.name))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    return 0


def _epochs(progress: Progress | None) -> str:
    if progress is None:
        return ""
    done, all = ("?" if one is None else one for one in (progress.epoch, progress.epochs))
    return f"{done}/{all}"


def _add_logs(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    parser.add_argument("--follow", "-f", action="store_true", help="wait for more until the end")
    parser.add_argument("--offset", type=int, default=0, help="the first byte")


def _logs(options: Options) -> int:
    with _client(options) as client:
        if options.follow:
            return _follow(client, options.job, options.offset)
        offset = options.offset
        while True:
            chunk = client.log(options.job, offset, 1 << 20)
            sys.stdout.buffer.write(chunk.data)
            if chunk.end or not chunk.data:
                break
            offset = chunk.next
        sys.stdout.flush()
    return 0


def _add_events(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    parser.add_argument("--follow", "-f", action="store_true", help="wait for more until the end")
    parser.add_argument("--after", type=int, default=0, help="only those after this number")


def _events(options: Options) -> int:
    with _client(options) as client:
        for event in client.events(options.job, options.after, follow=options.follow):
            if options.json:
                _print_json(event)
            else:
                print(_line(event), flush=True)
    return 0


def _line(event: Event) -> str:
    values = ", ".join(
        f"{key} {value}" for key, value in event.data.items() if value not in (None, {})
    )
    time = event.time.astimezone().strftime("%H:%M:%S")
    return f"{event.seq:>6}  {time}  {event.type:<8}  {values}"


def _cancel(options: Options) -> int:
    with _client(options) as client:
        job = client.cancel(options.job)
    # A job ends when its processes have ended.
    _show(job, options.json, "" if job.is_final else ", cancel requested")
    return 0


def _resubmit(options: Options) -> int:
    with _client(options) as client:
        _show(client.resubmit(options.job), options.json)
    return 0


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    parser.add_argument("names", nargs="*", help="artefacts; by default all")
    parser.add_argument("--output", "-o", type=Path, default=Path(), help="the folder for them")
    parser.add_argument("--list", action="store_true", help="only list them")


def _fetch(options: Options) -> int:
    with _client(options) as client:
        found = client.artifacts(options.job)
        if options.list:
            for one in found:
                if options.json:
                    _print_json(one)
                else:
                    print(f"{one.size:>12}  {one.name}")
            return 0
        options.output.mkdir(parents=True, exist_ok=True)
        for name in options.names or [one.name for one in found]:
            path = client.download(options.job, name, options.output)
            if options.json:
                _print_json({"name": name, "path": str(path)})
            else:
                print(path)
    return 0


def _whoami(options: Options) -> int:
    with _client(options) as client:
        me = client.me()
    if options.json:
        _print_json(me)
        return 0
    print(f"{me.name} ({me.role}), {'may' if me.programs else 'may not'} run programs")
    for key, most in me.quota.items():
        used = f"{me.usage[key]} of " if key in me.usage else ""
        print(f"  {key}: {used}{most}")
    return 0


COMMANDS: Mapping[
    str, tuple[Callable[[Options], int], str, Callable[[argparse.ArgumentParser], None]]
] = {
    "submit": (_submit, "Submits a program, or a trainer or estimator as JSON.", _add_submit),
    "list": (_list, "Lists jobs, newest first.", _add_list),
    "logs": (_logs, "Prints the log of a job.", _add_logs),
    "events": (_events, "Prints the events of a job.", _add_events),
    "cancel": (_cancel, "Cancels a job.", _add_job),
    "resubmit": (_resubmit, "Submits the request of a job again.", _add_job),
    "fetch": (_fetch, "Downloads what a job has left.", _add_fetch),
    "whoami": (_whoami, "Prints the user of the token, with quotas.", lambda _: None),
}
"""Each command: its function, its help, and the function that adds its options."""
