"""The wait for the end of a job."""

from __future__ import annotations

import threading
import time

from firesteel.punchcard import names
from firesteel.punchcard.client import Client
from firesteel.punchcard.errors import (
    JobCancelledError,
    JobFailedError,
    PunchcardError,
    UnavailableError,
)
from firesteel.punchcard.values import CANCELLED, FAILED, JobInfo

_FIRST_POLL, _LAST_POLL = 0.5, 5.0
_OUTAGE_SECONDS = 900.0
"""The seconds for which a server may be unreachable while a job is waited for."""
_LOG_BYTES = 16384
"""The bytes of a failed job's log in its error."""


def wait_until_final(client: Client, id: str, stop: threading.Event) -> JobInfo | None:
    """Returns a job when it is final; None if `stop` is set before."""
    seconds = _FIRST_POLL
    answered = time.monotonic()
    while not stop.is_set():
        try:
            info = client.job(id)
            answered = time.monotonic()
            if info.is_final:
                return info
        except UnavailableError:
            # The job does not end with its server.
            if time.monotonic() - answered > _OUTAGE_SECONDS:
                raise
        stop.wait(seconds)
        seconds = min(_LAST_POLL, seconds * 1.5)
    return None


def raise_unless_succeeded(client: Client, final: JobInfo) -> None:
    """Raises the error of a job that failed or was cancelled.

    Raises
    ------
    JobFailedError
        If the job failed; it has the end of the log.
    JobCancelledError
        If the job was cancelled.
    """
    if final.state == CANCELLED:
        raise JobCancelledError(final.id, final.reason)
    if final.state == FAILED:
        log = _log_end(client, final.id)
        said = next((line for line in log.splitlines() if line.startswith(names.FAILED)), "")
        reason = final.reason or said.removeprefix(names.FAILED) or "no reason is given"
        raise JobFailedError(final.id, reason, log)


def _log_end(client: Client, id: str) -> str:
    try:
        return client.log_text(id, _LOG_BYTES)
    except PunchcardError as error:
        return f"(the log is not available: {error})"
