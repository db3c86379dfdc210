"""The client's commands of the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from firesteel.punchcard import command_submit
from firesteel.punchcard.command_support import (
    Options,
    add_job,
    follow,
    open_client,
    print_job,
    print_json,
)
from firesteel.punchcard.command_texts import (
    details,
    epochs,
    event_line,
    local_time,
    quota_line,
    table,
)
from firesteel.punchcard.errors import NotFoundError
from firesteel.punchcard.values import CANCELLED, STATES, JobInfo

_ALL = 1 << 62


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        action="append",
        type=str.upper,
        choices=STATES,
        metavar="STATE",
        help=f"list only jobs in this state: {', '.join(STATES)}; repeatable",
    )
    parser.add_argument("--user", help="list only jobs of this user")
    parser.add_argument("--name", help="list only jobs whose name contains this text")
    parser.add_argument(
        "--limit", metavar="N", type=int, default=50, help="the most jobs to list, 0 for all"
    )


def _list(options: Options) -> int:
    with open_client(options) as client:
        jobs = client.jobs(state=options.state, user=options.user, name=options.name)
        found = [job for job, _ in zip(jobs, range(options.limit or _ALL), strict=False)]
    if options.json:
        for job in found:
            print_json(job)
        return 0
    rows = [("ID", "STATE", "USER", "CREATED", "PROGRESS", "NAME")]
    for job in found:
        created = local_time(job.created_at)
        rows.append((job.id, job.state, job.user, created, epochs(job.progress), job.name))
    for line in table(rows):
        print(line)
    return 0


def _show(options: Options) -> int:
    with open_client(options) as client:
        job = client.job(options.job)
    if options.json:
        print_json(job)
    else:
        for line in details(job):
            print(line)
    return 0


def _add_logs(parser: argparse.ArgumentParser) -> None:
    add_job(parser)
    parser.add_argument(
        "--follow", "-f", action="store_true", help="print the log until the job has finished"
    )
    parser.add_argument(
        "--offset", metavar="N", type=int, default=0, help="start at this byte; default: 0"
    )


def _logs(options: Options) -> int:
    with open_client(options) as client:
        if options.follow:
            return follow(client, options.job, options.offset)
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
    add_job(parser)
    parser.add_argument(
        "--follow", "-f", action="store_true", help="print events until the job has finished"
    )
    parser.add_argument(
        "--after", metavar="N", type=int, default=0, help="print only events after this number"
    )


def _events(options: Options) -> int:
    with open_client(options) as client:
        for event in client.events(options.job, options.after, follow=options.follow):
            if options.json:
                print_json(event)
            else:
                print(event_line(event), flush=True)
    return 0


def _cancel(options: Options) -> int:
    with open_client(options) as client:
        job = client.cancel(options.job)
    note = ""
    if not job.is_final:
        # A job ends when its processes have ended.
        note = ", cancel requested"
    elif job.state != CANCELLED:
        note = ", had already finished, nothing was cancelled"
    print_job(job, options.json, note)
    return 0


def _resubmit(options: Options) -> int:
    with open_client(options) as client:
        print_job(client.resubmit(options.job), options.json)
    return 0


def _delete(options: Options) -> int:
    with open_client(options) as client:
        client.delete(options.job)
    if options.json:
        print_json({"id": options.job, "deleted": True})
    else:
        print(f"{options.job}  deleted")
    return 0


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    add_job(parser)
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="the artefacts to download; default: all"
    )
    parser.add_argument(
        "--output",
        "-o",
        metavar="FOLDER",
        type=Path,
        default=Path(),
        help="the folder to write to, which is made if it is missing; default: the current one",
    )
    parser.add_argument("--list", action="store_true", help="only list the artefacts")


def _fetch(options: Options) -> int:
    folder: Path = options.output
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output must be a folder, but {folder} is a file")
    with open_client(options) as client:
        found = client.artifacts(options.job)
        if not found:
            raise NotFoundError(_no_artifacts(client.job(options.job)))
        if options.list:
            for one in found:
                if options.json:
                    print_json(one)
                else:
                    print(f"{one.size:>12}  {one.name}")
            return 0
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.names or [one.name for one in found]:
            path = client.download(options.job, name, folder)
            if options.json:
                print_json({"name": name, "path": str(path)})
            else:
                print(path)
    return 0


def _no_artifacts(job: JobInfo) -> str:
    text = f"job {job.id} has no artefacts; its state is {job.state}"
    if job.kind != "program":
        return text
    return (
        f"{text}. The server keeps the files that a program writes to the folder "
        "$FIRESTEEL_PUNCHCARD_RESULTS, and no others"
    )


def _whoami(options: Options) -> int:
    with open_client(options) as client:
        me = client.me()
    if options.json:
        print_json(me)
        return 0
    print(f"{me.name} ({me.role}), {'may' if me.programs else 'may not'} run programs")
    for key, most in me.quota.items():
        print(f"  {quota_line(key, most, me.usage.get(key))}")
    return 0


COMMANDS: Mapping[
    str, tuple[Callable[[Options], int], str, Callable[[argparse.ArgumentParser], None]]
] = {
    command_submit.NAME: (
        command_submit.run,
        "Submits a program, or a trainer or an estimator that is described in JSON.",
        command_submit.add_options,
    ),
    "list": (_list, "Lists jobs, newest first.", _add_list),
    "show": (_show, "Prints the details of a job, with the reason of its state.", add_job),
    "logs": (_logs, "Prints the log of a job.", _add_logs),
    "events": (_events, "Prints the events of a job.", _add_events),
    "cancel": (_cancel, "Cancels a job.", add_job),
    "resubmit": (_resubmit, "Submits the request of a job again, as a new job.", add_job),
    "delete": (_delete, "Deletes a finished job with its log and artefacts.", add_job),
    "fetch": (_fetch, "Downloads the artefacts of a job.", _add_fetch),
    "whoami": (_whoami, "Prints the user of the token, with quotas and usage.", lambda _: None),
}
"""Each command: its function, its help, and the function that adds its options."""
