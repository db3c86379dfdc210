"""A small Punchcard server on a real socket, which breaks connections on demand."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from firesteel.punchcard.transport import Retry

TOKEN = "fsp_" + "x" * 43
CREATED = "2026-11-30T05:10:00.123Z"
FAST = Retry(attempts=4, first=0.01, most=0.02)
# The events of an answer, as of the real server.
PAGE = 1000


def job(id: str = "j1", **changed: Any) -> dict[str, Any]:
    return {
        "id": id,
        "name": "mnist",
        "user": "ada",
        "cluster": "default",
        "kind": "trainer",
        "state": "QUEUED",
        "reason": None,
        "attempt": 0,
        "retries": 0,
        "position": 1,
        "created_at": CREATED,
        "started_at": None,
        "finished_at": None,
        "application_id": None,
        "exit_code": None,
        "progress": None,
        "resubmitted_from": None,
        "later": "a field that a later server adds",
        **changed,
    }


def event(seq: int, kind: str = "epoch", **data: Any) -> dict[str, Any]:
    return {"seq": seq, "time": CREATED, "attempt": 0, "type": kind, "data": data}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """An answer; `cut` bytes are sent of the body before the connection breaks."""

    status: int = 200
    body: bytes | dict[str, Any] | list[Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    drop: bool = False


def problem(
    status: int, code: str, detail: str, field: str | None = None, **headers: str
) -> Answer:
    document = {"title": code, "status": status, "code": code, "detail": detail}
    if field is not None:
        document["field"] = field
    return Answer(status, document, {"Content-Type": "application/problem+json", **headers})


BUSY = problem(503, "unavailable", "the server is draining")
Route = Callable[[Request], Answer]


class Server:
    """Routes by method and path, without the prefix; a list of answers is used one by one."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.requests: list[Request] = []
        self.routes: dict[tuple[str, str], Route | Answer | list[Answer]] = {}
        self.uploads: dict[str, bytes] = {}
        self.on("POST", "/uploads", self._upload)

    def on(self, method: str, path: str, answer: Route | Answer | list[Answer]) -> None:
        self.routes[method, path] = answer

    def to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def has_artifacts(self, contents: dict[str, bytes], id: str = "j1") -> None:
        listed = [
            {
                "name": name,
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "modified_at": CREATED,
            }
            for name, content in contents.items()
        ]
        self.on("GET", f"/jobs/{id}/artifacts", Answer(body={"artifacts": listed}))
        for name, content in contents.items():
            self.on("GET", f"/jobs/{id}/artifacts/{name}", ranged(content))

    def has_events(self, *events: dict[str, Any], id: str = "j1") -> None:
        def answer(request: Request) -> Answer:
            after = int(request.query["after"][0])
            return Answer(body={"events": [one for one in events if one["seq"] > after][:PAGE]})

        self.on("GET", f"/jobs/{id}/events", answer)

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "unauthenticated", "the token is unknown")
        found = self.routes.get((request.method, request.path))
        if found is None:
            return problem(404, "not_found", f"there is no {request.path}")
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found if isinstance(found, Answer) else found(request)

    def _upload(self, request: Request) -> Answer:
        digest = hashlib.sha256(request.body).hexdigest()
        if digest != request.headers["x-firesteel-sha256"]:
            return problem(422, "invalid", "the checksum differs")
        self.uploads[digest[:12]] = request.body
        document = {"size": len(request.body), "sha256": digest, "created_at": CREATED}
        return Answer(201, {"id": digest[:12], **document})


def ranged(content: bytes, cuts: list[int] | None = None) -> Route:
    """Serves bytes by range; each of the first answers breaks after as many bytes as `cuts` has."""
    left = list(cuts or [])

    def answer(request: Request) -> Answer:
        cut = left.pop(0) if left else None
        given = request.headers.get("range")
        if given is None:
            return Answer(body=content, cut=cut)
        start = int(given.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return problem(416, "range_not_satisfiable", "past the end")
        extent = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Answer(206, content[start:], {"Content-Range": extent}, cut)

    return answer


def sse(*messages: tuple[str, str, Any]) -> bytes:
    """Server-sent events of types, ids and data, with a comment, in the server's form of JSON."""
    texts = [": still here\n\n"]
    for kind, id, data in messages:
        mark = f"id: {id}\n" if id else ""
        texts.append(f"event: {kind}\n{mark}data: {json.dumps(data, ensure_ascii=False)}\n\n")
    return "".join(texts).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    app: Server

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("Content-Length", 0))
        request = Request(
            self.command,
            parts.path.removeprefix("/api/v1"),
            parse_qs(parts.query),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(size),
        )
        answer = self.app.answer(request)
        if answer.drop:
            self.close_connection = True
            return
        raw = isinstance(answer.body, bytes)
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        kind = "application/octet-stream" if raw else "application/json"
        for name, value in {"Content-Type": kind, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: answer.cut])
        if answer.cut is not None:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None) -> Iterator[Server]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.handle_error = lambda *_: None  # type: ignore[method-assign]
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        # The handshake is made by the thread of the connection.
        http.socket = context.wrap_socket(
            http.socket, server_side=True, do_handshake_on_connect=False
        )
        scheme = "https"
    app = Server(f"{scheme}://127.0.0.1:{http.server_address[1]}")
    http.RequestHandlerClass = type("Handler", (_Handler,), {"app": app})  # type: ignore[assignment]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield app
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
