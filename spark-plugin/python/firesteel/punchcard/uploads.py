"""The upload of bytes and files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firesteel.punchcard.transport import Transport, json_of
from firesteel.punchcard.values import Upload

_EXTENSIONS = (".csv", ".jar", ".json", ".py", ".safetensors", ".txt", ".zip")
"""The extensions that the server keeps; any other file is ``.bin`` there."""


def upload(transport: Transport, content: bytes | str | Path, filename: str | None) -> Upload:
    """Uploads bytes or the file of a path, with the checksum by which the server checks them."""
    source: Callable[[], Any]
    if isinstance(content, bytes):
        source, size = (lambda: content), len(content)
        digest = hashlib.sha256(content).hexdigest()
    else:
        path = Path(content)
        source, filename = (lambda: path.open("rb")), filename or path.name
        size, digest = path.stat().st_size, _file_sha256(path)
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(size),
        "X-Firesteel-Sha256": digest,
        "X-Firesteel-Filename": f"content{_extension(filename)}",
    }
    return Upload.read(
        json_of(transport.request("POST", "/uploads", content=source, headers=headers))
    )


def _extension(filename: str | None) -> str:
    extension = Path(filename or "").suffix.lower()
    return extension if extension in _EXTENSIONS else ".bin"


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
