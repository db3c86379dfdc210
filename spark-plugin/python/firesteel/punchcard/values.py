"""The values that the server gives: jobs, events, artefacts, users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import UnionType
from typing import Any, Self, get_args, get_type_hints

from firesteel.punchcard.errors import ServerError

SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"
STATES = ("ACCEPTED", "QUEUED", "STARTING", "RUNNING", SUCCEEDED, FAILED, CANCELLED)
"""The states of a job, in order."""
FINAL = (SUCCEEDED, FAILED, CANCELLED)
"""The states in which a job stays."""


class _Read:
    """A value that is read from a JSON object; further keys of the object are ignored."""

    @classmethod
    def read(cls, document: Any) -> Self:
        """Reads the JSON object.

        Raises
        ------
        ServerError
            If it is not an object, a key is missing, or a time is not in RFC 3339.
        """
        if not isinstance(document, Mapping):
            raise ServerError(f"the answer is not the JSON of a {cls.__name__}: {document!r}")
        hints = get_type_hints(cls)
        known = {one.name for one in fields(cls)}  # type: ignore[arg-type]
        try:
            return cls(
                **{
                    name: _value(hints[name], value)
                    for name, value in document.items()
                    if name in known
                }
            )
        except (TypeError, ValueError) as error:
            raise ServerError(f"the answer is not the JSON of a {cls.__name__}: {error}") from None


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    for kind in kinds:
        if kind is datetime:
            return datetime.fromisoformat(value)
        if isinstance(kind, type) and issubclass(kind, _Read):
            return kind.read(value)
    return value


@dataclass(frozen=True)
class Progress(_Read):
    """The progress of a training; a number is None until the training has reported it.

    Parameters
    ----------
    epoch, epochs : int, optional
        The number of finished epochs, and of all.
    loss : float, optional
        The loss of the last epoch.
    rows : int
        The number of trained rows.
    """

    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    rows: int = 0


@dataclass(frozen=True)
class JobInfo(_Read):
    """A job as the server has it.

    Parameters
    ----------
    id, name, user, cluster, kind : str
        The job, its owner, where it runs, and ``trainer``, ``estimator`` or ``program``.
    state : str
        ``ACCEPTED``, ``QUEUED``, ``STARTING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or
        ``CANCELLED``; a job stays in the last three.
    reason : str, optional
        The reason of the state.
    attempt, retries : int
        The number of the attempt, and of further attempts after a failed one.
    position : int, optional
        The place in the queue, from 1.
    created_at, started_at, finished_at : datetime
        Times in UTC; the last two are None until then.
    application_id : str, optional
        The id of the Spark application.
    exit_code : int, optional
        The exit code of the driver.
    progress : Progress, optional
        The progress of its training.
    resubmitted_from : str, optional
        The job that this one repeats.
    request : dict, optional
        The request as accepted; only a single job has it.
    """

    id: str
    name: str
    user: str
    cluster: str
    kind: str
    state: str
    created_at: datetime
    reason: str | None = None
    attempt: int = 0
    retries: int = 0
    position: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    application_id: str | None = None
    exit_code: int | None = None
    progress: Progress | None = None
    resubmitted_from: str | None = None
    request: dict[str, Any] | None = None

    @property
    def is_final(self) -> bool:
        """True if the state does not change any more."""
        return self.state in FINAL


@dataclass(frozen=True)
class Event(_Read):
    """An event of a job.

    Parameters
    ----------
    seq : int
        The sequence number, from 1.
    time : datetime
        The time in UTC.
    attempt : int
        The number of the attempt.
    type : str
        ``state``, ``fit``, ``epoch``, ``progress``, ``result`` or ``failure``.
    data : dict
        The event's values, such as the loss of an epoch or the reason of a failure.
    """

    seq: int
    time: datetime
    attempt: int
    type: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact(_Read):
    """A file among the results of a job."""

    name: str
    size: int
    sha256: str
    modified_at: datetime | None = None


@dataclass(frozen=True)
class Upload(_Read):
    """An uploaded file."""

    id: str
    size: int
    sha256: str
    created_at: datetime | None = None


@dataclass(frozen=True)
class Me(_Read):
    """The user of a token: role, the right to run programs, quota and usage."""

    name: str
    role: str
    programs: bool
    quota: dict[str, int] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LogChunk:
    """A part of a log.

    Parameters
    ----------
    offset, next : int
        The offsets of its first byte and after its last one, counted over all bytes ever written.
    data : bytes
        The bytes.
    end : bool
        True if the job has finished and nothing follows.
    """

    offset: int
    next: int
    data: bytes
    end: bool

    @property
    def text(self) -> str:
        """The bytes as text."""
        return self.data.decode(errors="replace")
