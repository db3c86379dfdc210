"""Jobs on a Punchcard server: dist-keras's ``Job``, and a client.

The client needs httpx: ``pip install 'firesteel[punchcard]'``. docs/punchcard.md of the project
explains the server.
"""

from firesteel.punchcard.client import Client
from firesteel.punchcard.errors import (
    ChecksumError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InsecureAddressError,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    NotAuthenticatedError,
    NotFoundError,
    PunchcardError,
    QuotaExceededError,
    ServerError,
    TooLargeError,
    UnavailableError,
)
from firesteel.punchcard.estimators import Estimator
from firesteel.punchcard.fetched import FetchedModel
from firesteel.punchcard.job import Job
from firesteel.punchcard.transport import Retry
from firesteel.punchcard.values import Artifact, Event, JobInfo, LogChunk, Me, Progress, Upload
from firesteel.punchcard.work import Data, Program

__all__ = [
    "Artifact",
    "ChecksumError",
    "Client",
    "ConflictError",
    "Data",
    "Estimator",
    "Event",
    "FetchedModel",
    "ForbiddenError",
    "GoneError",
    "InsecureAddressError",
    "InvalidRequestError",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "JobInfo",
    "LogChunk",
    "Me",
    "NotAuthenticatedError",
    "NotFoundError",
    "Program",
    "Progress",
    "PunchcardError",
    "QuotaExceededError",
    "Retry",
    "ServerError",
    "TooLargeError",
    "UnavailableError",
    "Upload",
]
