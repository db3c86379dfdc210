"""The errors of jobs and of the server's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class PunchcardError(Exception):
    """An error of Punchcard.

    Parameters
    ----------
    detail : str
        A sentence that says what is wrong and what to do.
    code : str
        The code of the server's answer, such as ``quota_exceeded``; empty without an answer.
    status : int, optional
        The HTTP status of the answer; None without one.
    """

    def __init__(self, detail: str, *, code: str = "", status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status


class NotAuthenticatedError(PunchcardError):
    """The token is missing, unknown, expired or revoked."""


class ForbiddenError(PunchcardError):
    """The user may not do this."""


class NotFoundError(PunchcardError):
    """The job, artefact or other object does not exist."""


class GoneError(NotFoundError):
    """The object is kept no longer."""


class ConflictError(PunchcardError):
    """The state of the job forbids this, or the idempotency key belongs to another request."""


class InvalidRequestError(PunchcardError):
    """A field of the request is not accepted.

    ``field`` is its name, such as ``work.data.path``; None if the answer does not name one.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str = "",
        status: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(detail, code=code, status=status)
        self.field = field


class TooLargeError(InvalidRequestError):
    """The upload or the request is larger than the server accepts."""


class QuotaExceededError(PunchcardError):
    """The user's quota does not allow it."""


class UnavailableError(PunchcardError):
    """The server is not reachable, or does not take requests at the moment."""


class ServerError(PunchcardError):
    """The server failed, or its answer is not of the expected form."""


class ChecksumError(PunchcardError):
    """The received bytes are not those that the server has."""


class InsecureAddressError(PunchcardError):
    """The address would send the token unencrypted to another machine."""


class JobFailedError(PunchcardError):
    """The job failed.

    ``job`` is its id, ``reason`` what is wrong, ``log`` the end of its log.
    """

    def __init__(self, job: str, reason: str, log: str) -> None:
        where = "; JobFailedError.log has the end of its log" if log else ""
        super().__init__(f"job {job} failed: {reason}{where}", code="job_failed")
        self.job = job
        self.reason = reason
        self.log = log


class JobCancelledError(PunchcardError):
    """The job was cancelled. ``job`` is its id."""

    def __init__(self, job: str, reason: str | None = None) -> None:
        super().__init__(
            f"job {job} was cancelled{f': {reason}' if reason else ''}", code="job_cancelled"
        )
        self.job = job


_CLASSES: dict[int, type[PunchcardError]] = {
    400: InvalidRequestError,
    401: NotAuthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    405: InvalidRequestError,
    409: ConflictError,
    410: GoneError,
    413: TooLargeError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: QuotaExceededError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def error_of(status: int, document: Any, text: str = "") -> PunchcardError:
    """Returns the error of an answer.

    Parameters
    ----------
    status : int
        The HTTP status.
    document : object
        The answer's JSON, an object as in RFC 9457, or anything else.
    text : str
        The answer's beginning, for an answer that is not such an object.
    """
    problem = document if isinstance(document, Mapping) else {}
    code = str(problem.get("code", ""))
    detail = str(problem.get("detail") or problem.get("title") or text or "no reason is given")
    kind = _CLASSES.get(status, ServerError if status >= 500 else InvalidRequestError)
    if code == "quota_exceeded":
        kind = QuotaExceededError
    if issubclass(kind, InvalidRequestError):
        return kind(detail, code=code, status=status, field=problem.get("field"))
    return kind(detail, code=code, status=status)
