"""The values of the server as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from firesteel.punchcard.values import Event, JobInfo, Progress

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Returns the lines of a table whose columns are as wide as their widest cells."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def local_time(time: datetime) -> str:
    """Returns a time in this machine's zone, to the minute."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def epochs(progress: Progress | None) -> str:
    """Returns the finished epochs and all, such as ``2/5``; empty without progress."""
    if progress is None:
        return ""
    done, all = ("?" if one is None else one for one in (progress.epoch, progress.epochs))
    return f"{done}/{all}"


def details(job: JobInfo) -> Iterator[str]:
    """Returns the lines of a job's details, without those that it does not have."""
    progress = job.progress
    loss = f", loss {progress.loss:.6g}" if progress and progress.loss is not None else ""
    values = {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "user": job.user,
        "cluster": job.cluster,
        "state": job.state,
        "reason": job.reason,
        "place in the queue": job.position,
        "attempt": f"{job.attempt} of at most {job.retries + 1}" if job.attempt else None,
        "exit code": job.exit_code,
        "progress": f"epoch {epochs(progress)}{loss}, {progress.rows} rows" if progress else None,
        "created": local_time(job.created_at),
        "started": job.started_at and local_time(job.started_at),
        "finished": job.finished_at and local_time(job.finished_at),
        "Spark application": job.application_id,
        "resubmitted from": job.resubmitted_from,
    }
    return table([(key, str(value)) for key, value in values.items() if value is not None])


def event_line(event: Event) -> str:
    """Returns the line of an event: number, time, type and values."""
    time = event.time.astimezone().strftime("%H:%M:%S")
    return f"{event.seq:>6}  {time}  {event.type:<8}  {_event_values(event)}"


def _event_values(event: Event) -> str:
    if event.type == "state":
        reason = event.data.get("reason")
        return f"{event.data.get('state')}{f': {reason}' if reason else ''}"
    return ", ".join(f"{key} {value}" for key, value in _flat(event.data))


def _flat(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Returns the values that are not null; those of objects in them, such as metrics, too."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif value is not None:
            yield key, value


def quota_line(name: str, most: int, used: int | None) -> str:
    """Returns the line of a quota, with the usage if the server counts it."""
    text = size if name.endswith("_bytes") else str
    return f"{name}: {'' if used is None else f'{text(used)} of '}{text(most)}"


def size(count: int) -> str:
    """Returns a number of bytes in the largest unit of which there is one."""
    value = float(count)
    for unit in _UNITS[:-1]:
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} {_UNITS[-1]}"
