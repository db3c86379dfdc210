"""The client of a Punchcard server."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from firesteel.punchcard import downloads, uploads
from firesteel.punchcard.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
)
from firesteel.punchcard.streams import END, Subscription
from firesteel.punchcard.transport import Retry, Transport, json_of
from firesteel.punchcard.values import Artifact, Event, JobInfo, LogChunk, Me, Upload
from firesteel.punchcard.work import work_document

if TYPE_CHECKING:
    import ssl

    from firesteel.punchcard.work import Data

_PAGE = 100
TIMEOUT = 30.0
"""The seconds to wait for a connection and for the next bytes of an answer."""


class Client:
    """A client of a Punchcard server.

    Requests that do not get through are repeated, with longer and longer waits. None of them acts
    twice: a submission has an idempotency key, and an upload is known by its content.

    Parameters
    ----------
    address : str
        The server, such as ``https://host:7438``.
    token : str
        The token, or a secret of dist-keras's secrets file.
    ca : str or ssl.SSLContext, optional
        The file with the certificates of authorities in PEM, for a server whose certificate is
        not signed by a public one.
    timeout : float
        The seconds to wait for a connection, and for the next bytes of an answer.
    insecure : bool
        True to send the token over plain HTTP to another machine.
    retry : Retry
        The number of attempts, and the waits between them.

    Raises
    ------
    ImportError
        If httpx is not installed: ``pip install 'firesteel[punchcard]'``.
    InsecureAddressError
        If the address is plain HTTP to another machine.

    Examples
    --------
    >>> from firesteel.punchcard import Client, Program
    >>> with Client("https://cluster:7438", token) as client:  # doctest: +SKIP
    ...     job = client.submit("nightly", Program("train.py", ["--epochs", "5"]))
    ...     for text in client.follow_log(job.id):
    ...         print(text, end="")
    """

    def __init__(
        self,
        address: str,
        token: str,
        ca: str | ssl.SSLContext | None = None,
        timeout: float = TIMEOUT,
        *,
        insecure: bool = False,
        retry: Retry | None = None,
    ) -> None:
        self._transport = Transport(address, token, ca, timeout, insecure, retry or Retry())

    @property
    def address(self) -> str:
        """The address of the server."""
        return self._transport.address

    def close(self) -> None:
        """Closes all connections. A later request opens new ones."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def me(self) -> Me:
        """Returns the user of the token, with quota and usage."""
        return Me.read(json_of(self._transport.request("GET", "/me")))

    def clusters(self) -> list[dict[str, Any]]:
        """Returns the clusters: name, master, and the Spark keys that a job may set."""
        answer = json_of(self._transport.request("GET", "/clusters"))
        found: list[dict[str, Any]] = answer["clusters"]
        return found

    def submit(
        self,
        name: str,
        work: Any,
        *,
        data: str | Data | None = None,
        shuffle: bool = False,
        cluster: str | None = None,
        executors: int | None = None,
        cores: int | None = None,
        memory: str | None = None,
        retries: int = 0,
        conf: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> JobInfo:
        """Submits a job; what it needs is uploaded first.

        Parameters
        ----------
        name : str
            The name of the job and of its Spark application.
        work : trainer, estimator, Estimator, Program or dict
            A trainer of :mod:`firesteel.distkeras`, an estimator of Firesteel or its description,
            a program, or the JSON object ``work`` of the API, whose uploads exist.
        data : str or Data, optional
            The rows, for a trainer or an estimator: the path of a Parquet file, or how to read
            them.
        shuffle : bool
            As of a trainer's ``train``.
        cluster : str, optional
            The cluster's name. Default: the server's.
        executors, cores, memory : optional
            The number of executors, and cores and memory, such as ``2g``, of each.
        retries : int
            The number of further attempts after a failed one.
        conf : dict, optional
            Configuration keys of Spark that the cluster allows.
        idempotency_key : str, optional
            A second submission with the same key gives the first one's job. Default: a random one.

        Raises
        ------
        InvalidRequestError
            If a field is not accepted; names it.
        ForbiddenError
            If the work is a program, and the user may not run programs.
        TypeError, ValueError
            If a part of the trainer or estimator has no JSON form; the error names the argument.
        """
        resources = {
            "cluster": cluster,
            "executors": executors,
            "cores": cores,
            "memory": memory,
            "retries": retries or None,
            "conf": dict(conf) if conf else None,
        }
        document: dict[str, Any] = {
            "name": name,
            **{key: value for key, value in resources.items() if value is not None},
            "work": work_document(
                work, data, shuffle, lambda content, file: self.upload(content, file).id
            ),
        }
        try:
            return self._job("POST", "/jobs", json=document, headers=_key(idempotency_key))
        except InvalidRequestError as error:
            if error.field == "work.kind" and document["work"].get("kind") == "program":
                # Only the user's rights make the server refuse this kind.
                raise ForbiddenError(error.detail, code=error.code, status=error.status) from None
            raise

    def jobs(
        self,
        *,
        state: str | list[str] | None = None,
        user: str | None = None,
        name: str | None = None,
    ) -> Iterator[JobInfo]:
        """Returns the jobs, newest first: the user's own, and all users' for an administrator.

        `name` is a part of their names, in upper or lower case.
        """
        states = [state] if isinstance(state, str) else state or []
        filters = {"state": states, "user": user, "name": name}
        params = {key: value for key, value in filters.items() if value}
        before: str | None = None
        while True:
            position = {"before": before} if before else {}
            response = self._transport.request(
                "GET", "/jobs", params={**params, **position, "limit": _PAGE}
            )
            page = json_of(response)
            yield from (JobInfo.read(job) for job in page["jobs"])
            following = page.get("next")
            if following is None:
                return
            if following == before:
                raise ServerError(f"the page of jobs before {before} is followed by itself")
            before = following

    def job(self, id: str) -> JobInfo:
        """Returns a job, with its request."""
        return self._job("GET", _path(id))

    def cancel(self, id: str) -> JobInfo:
        """Cancels a job; a finished one stays as it is.

        Its state is CANCELLED when its processes have ended, which may be after the answer.
        """
        return self._job("POST", f"{_path(id)}/cancel")

    def resubmit(self, id: str, *, idempotency_key: str | None = None) -> JobInfo:
        """Submits the request of a job again, as a new job."""
        return self._job("POST", f"{_path(id)}/resubmit", headers=_key(idempotency_key))

    def delete(self, id: str) -> None:
        """Deletes a finished job with its log and artefacts."""
        self._transport.request("DELETE", _path(id))

    def log(self, id: str, offset: int = 0, limit: int = 1 << 16) -> LogChunk:
        """Returns at most `limit` bytes of a job's log from an offset on.

        The chunk begins at the oldest byte that is kept if the offset is before it.
        """
        response = self._transport.request(
            "GET", f"{_path(id)}/log", params={"offset": offset, "limit": limit}
        )
        headers = response.headers
        data = response.content
        start = int(headers.get("X-Firesteel-Offset", offset))
        following = int(headers.get("X-Firesteel-Next", start + len(data)))
        return LogChunk(start, following, data, headers.get("X-Firesteel-End") == "true")

    def log_text(self, id: str, last: int | None = None) -> str:
        """Returns a job's log as far as it is kept, or about its `last` bytes from a line on."""
        parts: list[bytes] = []
        offset = 0
        while True:
            chunk = self.log(id, offset, 1 << 20)
            parts.append(chunk.data)
            if not chunk.data or chunk.end:
                break
            offset = chunk.next
            if last is not None:
                parts = [b"".join(parts)[-last - 4096 :]]
        content = b"".join(parts)
        if last is not None and len(content) > last:
            _, _, content = content[-last:].partition(b"\n")
        return content.decode(errors="replace")

    def follow_log(self, id: str, offset: int = 0) -> Iterator[str]:
        """Returns a job's log from an offset on as it is written, until the job has finished."""
        path = f"{_path(id)}/log/stream"
        for message in Subscription(self._transport, path, "offset", offset):
            if message.type == "log":
                yield message.data["text"]

    def events(self, id: str, after: int = 0, *, follow: bool = True) -> Iterator[Event]:
        """Returns a job's events after a sequence number.

        Parameters
        ----------
        id : str
            The job.
        after : int
            The sequence number, 0 for all.
        follow : bool
            True to wait for further events until the job has finished.
        """
        if not follow:
            while found := self._events(id, after):
                yield from found
                after = found[-1].seq
            return
        for message in Subscription(self._transport, f"{_path(id)}/events/stream", "after", after):
            if message.type != END:
                yield Event.read(message.data)

    def _events(self, id: str, after: int) -> list[Event]:
        """Returns the next events after a sequence number; empty if there are none."""
        response = self._transport.request("GET", f"{_path(id)}/events", params={"after": after})
        found = [Event.read(event) for event in json_of(response)["events"]]
        if found and found[-1].seq <= after:
            raise ServerError(
                f"the events of job {id} after number {after} end with number {found[-1].seq}"
            )
        return found

    async def events_async(self, id: str, after: int = 0) -> AsyncIterator[Event]:
        """Returns a job's events after a sequence number, until it has finished."""
        path = f"{_path(id)}/events/stream"
        async for message in Subscription(self._transport, path, "after", after):
            if message.type != END:
                yield Event.read(message.data)

    def artifacts(self, id: str) -> list[Artifact]:
        """Returns the artefacts of a job."""
        response = self._transport.request("GET", f"{_path(id)}/artifacts")
        return [Artifact.read(one) for one in json_of(response)["artifacts"]]

    def artifact(self, id: str, name: str) -> bytes:
        """Returns the bytes of an artefact, checked.

        Raises
        ------
        NotFoundError
            If the job has no such artefact; the error lists those that it has.
        """
        sink = io.BytesIO()
        downloads.receive(self._transport, id, self._artifact(id, name), sink)
        return sink.getvalue()

    def download(self, id: str, name: str, target: str | Path) -> Path:
        """Downloads an artefact, continues one that broke, and checks it.

        Parameters
        ----------
        id, name : str
            The job and the artefact.
        target : str or Path
            The file to write; or a folder, for a file of the artefact's name: one that exists, or
            a path with a slash at its end. Folders that are missing are made. The file appears
            when it is complete; until then its bytes are in ``<target>.part``.

        Returns
        -------
        Path
            The file.
        """
        artifact = self._artifact(id, name)
        path = downloads.target_file(target, name)
        downloads.to_file(self._transport, id, artifact, path)
        return path

    def upload(self, content: bytes | str | Path, filename: str | None = None) -> Upload:
        """Uploads bytes or the file of a path; the same content twice gives the same upload.

        Parameters
        ----------
        content : bytes, str or Path
            The bytes, or the path of a file.
        filename : str, optional
            A name, of which only the extension counts. Default: that of the file.
        """
        return uploads.upload(self._transport, content, filename)

    def delete_upload(self, id: str) -> None:
        """Deletes an upload."""
        self._transport.request("DELETE", f"/uploads/{quote(id, safe='')}")

    def _job(self, method: str, path: str, **options: Any) -> JobInfo:
        return JobInfo.read(json_of(self._transport.request(method, path, **options)))

    def _artifact(self, id: str, name: str) -> Artifact:
        found = {one.name: one for one in self.artifacts(id)}
        if name not in found:
            raise NotFoundError(
                f"job {id} has no artefact '{name}'; it has {', '.join(found) or 'none'}",
                code="not_found",
            )
        return found[name]


def _path(id: str) -> str:
    return f"/jobs/{quote(id, safe='')}"


def _key(given: str | None) -> dict[str, str]:
    return {"Idempotency-Key": given or uuid.uuid4().hex}
