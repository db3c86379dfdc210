"""Downloads that continue after a broken connection, and are checked."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from firesteel.punchcard.errors import ChecksumError, PunchcardError, ServerError
from firesteel.punchcard.transport import Transport
from firesteel.punchcard.values import Artifact

_CHUNK = 1 << 20


def artifact_path(job: str, name: str) -> str:
    """Returns the path of an artefact on the server."""
    return f"/jobs/{quote(job, safe='')}/artifacts/{quote(name, safe='')}"


def target_file(target: str | Path, name: str) -> Path:
    """Returns the file to write for an artefact, and makes the folders that are missing.

    The target is a folder if there is one of this name, or if it ends with a slash.

    Raises
    ------
    ValueError
        If the target is a folder, and the artefact's name is not that of a file in it.
    """
    path = Path(target)
    if path.is_dir() or str(target).endswith("/"):
        if Path(name).name != name or name.startswith("."):
            raise ValueError(
                f"the artefact '{name}' needs a target file: its name is not that of a file"
            )
        path = path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def to_file(transport: Transport, job: str, artifact: Artifact, target: Path) -> None:
    """Downloads an artefact to a file, which appears when it is complete.

    Bytes of an earlier download that broke are kept in ``<target>.part`` and continued.
    """
    part = target.with_name(f"{target.name}.part")
    with part.open("ab+") as sink:
        receive(transport, job, artifact, sink)
        sink.flush()
        os.fsync(sink.fileno())
    part.replace(target)


def receive(transport: Transport, job: str, artifact: Artifact, sink: BinaryIO) -> None:
    """Appends the bytes of an artefact that a file does not have yet, until all are there.

    Raises
    ------
    ChecksumError
        If the bytes are not those of the artefact; the file is then empty.
    """
    attempt = 0
    while True:
        start = sink.seek(0, os.SEEK_END)
        if start > artifact.size:
            start = _restart(sink)
        try:
            if start < artifact.size:
                _continue(transport, job, artifact, sink, start)
        except transport.failures as error:
            failure: PunchcardError = transport.unreachable(error)
        except PunchcardError as error:
            if error.status == 416 and start:
                # The bytes that are there belong to another version.
                _restart(sink)
                continue
            failure = error
        else:
            if sink.tell() >= artifact.size:
                break
            failure = transport.unreachable(EOFError("the answer ended too early"))
        # Only attempts that brought nothing count.
        attempt = 1 if sink.tell() > start else attempt + 1
        transport.pause(failure, attempt, None)
    if _sha256(sink) != artifact.sha256:
        _restart(sink)
        raise ChecksumError(
            f"the bytes of '{artifact.name}' of job {job} do not have the checksum that the "
            "server gives; download it again"
        )


def _continue(
    transport: Transport, job: str, artifact: Artifact, sink: BinaryIO, start: int
) -> None:
    # Compressed answers have other offsets.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": f'"{artifact.sha256}"'}
    with transport.stream(artifact_path(job, artifact.name), headers=headers) as response:
        if start and response.status_code != 206:
            _restart(sink)
        elif start:
            given = response.headers.get("Content-Range", "")
            if not given.startswith(f"bytes {start}-"):
                raise ServerError(f"asked for bytes from {start} on, the server gave '{given}'")
        for chunk in response.iter_raw():
            sink.write(chunk)


def _restart(sink: BinaryIO) -> int:
    sink.truncate(0)
    return sink.seek(0)


def _sha256(sink: BinaryIO) -> str:
    sink.seek(0)
    found = hashlib.sha256()
    while chunk := sink.read(_CHUNK):
        found.update(chunk)
    return found.hexdigest()
