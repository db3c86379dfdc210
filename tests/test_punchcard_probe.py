"""Requests that a Punchcard server must refuse, byte by byte, and slow connections."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from firesteel.punchcard import Program
from punchcard import SECONDS, Server, punchcard

SLOW = 200
TRAVERSALS = (
    "..",
    "%2e%2e",
    "..%2f..%2fpunchcard.db",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cpunchcard.db",
    "%252e%252e%252fetc%252fpasswd",
    "%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "..%c0%af..%c0%afetc%c0%afpasswd",
    "%00",
    "a.bin%00.txt",
    "file:%2f%2f%2fetc%2fpasswd",
    "%ff%fe",
    "a" * 2000,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("probe") / "punchcard"
    # A request is cut off after a minute: the slow ones must last.
    limits = {"header_seconds": 60, "stall_seconds": 60, "body_bytes": 100_000}
    with punchcard(folder, script=True, limits=limits) as running:
        running.add("root", "--admin", "--programs")
        yield running


def send(server: Server, request: bytes) -> bytes:
    """Sends bytes; returns all that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as connection:
        with contextlib.suppress(ConnectionError):
            # The server may refuse and close before it has read all.
            connection.sendall(request)
        received = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                received += part
        return received


def closing(request: bytes) -> bytes:
    """A request of HTTP/1 after which the server closes the connection."""
    if b" HTTP/1." not in request:
        return request
    return request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"^HTTP/1\.[01] (\d{3})", answer, re.MULTILINE)]


def head(server: Server, line: str, *headers: str, host: str = "Host: localhost") -> bytes:
    token = f"Authorization: Bearer {server.tokens['root']}"
    lines = [line, *([host] if host else []), token, *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def job_that_left_an_artefact(server: Server) -> str:
    program = server.folder / "leaves.py"
    program.write_text('echo 0 > "$FIRESTEEL_PUNCHCARD_RESULTS/a.bin"\n')
    with server.client("root") as client:
        job = client.submit("leaves", Program(program, []))
        "".join(client.follow_log(job.id))
        return job.id


def test_no_path_leads_out_of_the_folders(server: Server) -> None:
    job = job_that_left_an_artefact(server)
    description = httpx.get(f"{server.address}/api/v1/openapi.json", timeout=60).json()
    templates = {
        **{path: list(methods) for path, methods in description["paths"].items() if "{" in path},
        "/static/{name}": ["get"],
        "/jobs/{id}": ["get"],
        "/jobs/{id}/log": ["get"],
        "/users/{name}": ["get"],
    }
    tried = 0
    for template, methods in templates.items():
        for method in methods:
            for bad in TRAVERSALS:
                # Each parameter in turn; the others are right.
                for parameter in re.findall(r"\{(\w+)\}", template):
                    path = template.replace(f"{{{parameter}}}", bad)
                    path = path.replace("{id}", job).replace("{name}", "root")
                    answer = send(
                        server,
                        head(
                            server,
                            f"{method.upper()} {path} HTTP/1.1",
                            "Connection: close",
                            "Content-Type: application/json",
                        ),
                    )
                    # The page leads people without a session to the form.
                    expected = {303} if template.startswith(("/jobs", "/users")) else set()
                    (status,) = statuses(answer)
                    assert status in {400, 404, 405, 415, 422} | expected, (method, path, answer)
                    assert b"root:" not in answer and b"SQLite format" not in answer
                    tried += 1
    assert tried > 250
    assert httpx.get(f"{server.address}/readyz", timeout=60).status_code == 200


def test_refusals_of_the_interface_are_problems(server: Server) -> None:
    for path in ("/api/v1/jobs/%ff", "/api/v1/nothing", "/api/v1/jobs/%2e%2e", "/%c3"):
        answer = send(server, head(server, f"GET {path} HTTP/1.1", "Connection: close"))
        assert b"application/problem+json" in answer, answer


def test_long_requests_are_refused(server: Server) -> None:
    post = "POST /api/v1/jobs HTTP/1.1"
    json, chunked = "Content-Type: application/json", "Transfer-Encoding: chunked"
    huge = f"Content-Length: {1 << 60}"
    cases = {
        "a path": (head(server, f"GET /{'a' * 100_000} HTTP/1.1"), {414, 431}),
        "a query": (head(server, f"GET /api/v1/jobs?name={'a' * 100_000} HTTP/1.1"), {414, 431}),
        "a header": (head(server, "GET /healthz HTTP/1.1", f"X: {'a' * 1_000_000}"), {431}),
        "headers": (
            head(server, "GET /healthz HTTP/1.1", *(f"X{n}: a" for n in range(200))),
            {431},
        ),
        "a body": (head(server, post, json, "Content-Length: 200000") + b" " * 200_000, {413}),
        "chunks": (
            head(server, post, json, chunked)
            + b"9c40\r\n"
            + b" " * 40_000
            + b"\r\n9c40\r\n"
            + b" " * 40_000
            + b"\r\n9c40\r\n"
            + b" " * 40_000
            + b"\r\n0\r\n\r\n",
            {413},
        ),
        "an upload": (head(server, "POST /api/v1/uploads HTTP/1.1", huge), {413}),
        "nesting": (
            head(server, post, json, "Content-Length: 50000") + b'{"a":' * 10_000,
            {400, 422},
        ),
        "a token": (
            head(server, "GET /api/v1/me HTTP/1.1").replace(b"Bearer ", b"Bearer " + b"a" * 5000),
            {401},
        ),
    }
    for name, (request, expected) in cases.items():
        answer = send(server, closing(request))
        assert set(statuses(answer)) <= expected and statuses(answer), (name, answer[:500])


def test_forged_requests_are_refused_and_nothing_is_smuggled(server: Server) -> None:
    get, post = "GET /healthz HTTP/1.1", "POST /api/v1/jobs HTTP/1.1"
    json, chunked = "Content-Type: application/json", "Transfer-Encoding: chunked"
    smuggled = closing(b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n")
    cases = {
        "no host": (head(server, get, host=""), {400}),
        "two hosts": (head(server, get, "Host: evil.example"), {400}),
        "a foreign host first": (
            head(server, get, "Host: localhost", host="Host: evil.example"),
            {400},
        ),
        "a foreign target": (head(server, "GET http://evil.example/healthz HTTP/1.1"), {403}),
        "a foreign host beside a target of the server": (
            head(server, "GET http://localhost/healthz HTTP/1.1", host="Host: evil.example"),
            {403},
        ),
        "a user in the target": (
            head(server, "GET http://localhost@evil.example/ HTTP/1.1"),
            {403},
        ),
        "HTTP/1.0 without a host": (head(server, "GET /healthz HTTP/1.0", host=""), {400}),
        "a tunnel": (head(server, "CONNECT localhost:22 HTTP/1.1"), {404, 405}),
        "TRACE": (head(server, "TRACE /healthz HTTP/1.1"), {405}),
        "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", set()),
        "a length and chunks": (
            head(server, post, json, "Content-Length: 6", chunked) + b"0\r\n\r\n" + smuggled,
            {400},
        ),
        "chunks and a length": (
            head(server, post, json, chunked, "Content-Length: 6") + b"0\r\n\r\n" + smuggled,
            {400},
        ),
        "two lengths": (
            head(server, post, json, "Content-Length: 2", "Content-Length: 60") + b"{}" + smuggled,
            {400},
        ),
        "a length with a sign": (head(server, post, json, "Content-Length: +2") + b"{}", {400}),
        "a negative length": (head(server, post, json, "Content-Length: -2") + b"{}", {400}),
        "a length with a space": (
            head(server, post, json, "Content-Length : 2") + b"{}" + smuggled,
            {400},
        ),
        "chunks that are not last": (
            head(server, post, json, "Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
            {400},
        ),
        "an unknown coding": (
            head(server, post, json, "Transfer-Encoding: gzip") + b"0\r\n\r\n",
            {400},
        ),
        "chunks over HTTP/1.0": (
            head(server, "POST /api/v1/jobs HTTP/1.0", json, chunked) + b"0\r\n\r\n" + smuggled,
            {400},
        ),
        "a chunk of no size": (head(server, post, json, chunked) + b"x\r\n{}\r\n0\r\n\r\n", {400}),
        "a chunk of too many digits": (
            head(server, post, json, chunked) + b"F" * 17 + b"\r\n{}\r\n",
            {400},
        ),
        "long chunk extensions": (
            head(server, post, json, chunked) + b"2;" + b"a" * 60_000 + b"\r\n{}\r\n",
            {400},
        ),
        "a folded header": (head(server, get, "X: a\r\n b"), {400}),
        "NUL in a header": (head(server, get, "X: a\0b"), {400}),
        "a carriage return in a header": (head(server, get, "X: a\rY: b"), {400}),
        "two tokens": (
            head(server, "GET /api/v1/me HTTP/1.1").replace(
                b"Authorization", b"Authorization: Bearer x\r\nAuthorization"
            ),
            {401},
        ),
        "a session from nowhere": (
            b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nCookie: punchcard-session="
            + b"A" * 43
            + b"\r\n\r\n",
            {401},
        ),
    }
    for name, (request, expected) in cases.items():
        # Without this, what was smuggled would be answered on the same connection.
        answer = send(server, request if smuggled in request else closing(request))
        found = statuses(answer)
        # One answer at most: what was smuggled has none.
        assert len(found) == bool(expected) and set(found) <= expected, (name, answer)
    with server.client("root") as client:
        assert all(job.name == "leaves" for job in client.jobs())


def test_a_good_client_is_answered_while_two_hundred_slow_ones_are_open(server: Server) -> None:
    program = server.folder / "talks.py"
    # It fills the log until it is cancelled, so that a stream that is not read is full at once.
    program.write_text(
        "yes 0123456789012345678901234567890123456789 | head -c 4000000\nsleep 600\n"
    )
    with server.client("root") as client, contextlib.ExitStack() as opened:
        job = client.submit("talks", Program(program, []))
        end = time.monotonic() + SECONDS
        while len(client.log(job.id).data) < 1000:
            assert time.monotonic() < end
            time.sleep(0.1)
        upload = head(server, "POST /api/v1/uploads HTTP/1.1", "Content-Length: 100000")
        body = head(
            server,
            "POST /api/v1/jobs HTTP/1.1",
            "Content-Type: application/json",
            "Content-Length: 5000",
        )
        stream = head(server, f"GET /api/v1/jobs/{job.id}/log/stream HTTP/1.1")
        # A user may have a bounded number of streams and uploads: the rest are heads that drip.
        mixed = [upload, body, stream] * 4
        rest = [b"GET /healthz HTTP/1.1\r\n"] * (SLOW - len(mixed))
        slow = []
        for start in [*mixed, *rest]:
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(start)
            slow.append((start, connection))
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.5):
                for start, connection in slow:
                    if start is not stream:
                        with contextlib.suppress(OSError):
                            connection.send(b"X")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            for _ in range(10):
                began = time.monotonic()
                assert client.job(job.id).state in ("STARTING", "RUNNING")
                assert client.upload(b"fast").size == 4
                # The slow ones wait for a minute: none of them was waited for.
                assert time.monotonic() - began < 20
        finally:
            stop.set()
            dripping.join()
        # The slow ones were open all the time: none has an answer, but for the streams.
        silent = 0
        for start, connection in slow:
            connection.setblocking(False)
            try:
                silent += start is stream or not connection.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                silent += 1
        assert silent >= SLOW * 0.9, silent
        client.cancel(job.id)
