"""The client against a server on a real socket that fails and breaks connections."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("httpx")
from firesteel.punchcard import (
    Client,
    ConflictError,
    ForbiddenError,
    GoneError,
    InsecureAddressError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    Program,
    PunchcardError,
    QuotaExceededError,
    Retry,
    ServerError,
    TooLargeError,
    UnavailableError,
)
from punchcard_server import (
    BUSY,
    CREATED,
    FAST,
    TOKEN,
    Answer,
    Request,
    Server,
    job,
    problem,
    serving,
)

CONTENT = bytes(range(256)) * 4000


@contextmanager
def listening(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The port of a server that answers everything with the same bytes, and what it received."""
    received: list[bytes] = []

    def serve() -> None:
        # The accept ends with the listener.
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    received.append(connection.recv(4096))
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], received
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "failures",
    [[BUSY] * 3, [Answer(drop=True)] * 3, [Answer(502), Answer(504), Answer(429)], [Answer(cut=3)]],
    ids=["503", "dropped", "gateway", "cut"],
)
def test_a_submission_that_fails_at_first_is_repeated_with_its_key(
    server: Server, client: Client, tmp_path: Path, failures: list[Answer]
) -> None:
    failures = [Answer(202, job(), cut=one.cut) if one.cut else one for one in failures]
    server.on("POST", "/jobs", [*failures, Answer(202, job())])
    program = tmp_path / "train.py"
    program.write_text("pass")
    done = client.submit("nightly", Program(program, ["--n", "1"]), executors=2, memory="1g")
    assert done.id == "j1" and done.state == "QUEUED" and not done.is_final
    assert done.created_at.isoformat() == CREATED.replace("Z", "000+00:00")
    sent = server.to("/jobs")
    assert len(sent) == len(failures) + 1
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    assert len({request.body for request in sent}) == 1
    document = sent[0].json()
    work = document.pop("work")
    assert document == {"name": "nightly", "executors": 2, "memory": "1g"}
    assert work["kind"] == "program" and server.uploads[work["file"]] == b"pass"


def test_a_program_of_a_user_without_the_right_is_forbidden(
    server: Server, client: Client, tmp_path: Path
) -> None:
    field = "work.kind"
    server.on("POST", "/jobs", problem(422, "invalid", f"{field}: you may not run programs", field))
    program = tmp_path / "train.py"
    program.write_text("pass")
    with pytest.raises(ForbiddenError, match="you may not run programs"):
        client.submit("nightly", Program(program))
    with pytest.raises(InvalidRequestError):
        client.submit("nightly", {"kind": "progam"})


def test_two_submissions_have_two_keys_unless_one_is_given(server: Server, client: Client) -> None:
    server.on("POST", "/jobs", Answer(202, job()))
    for key in (None, None, "mine", "mine"):
        client.submit("a", {"kind": "program"}, idempotency_key=key)
    keys = [request.headers["idempotency-key"] for request in server.to("/jobs")]
    assert len(set(keys)) == 3 and keys[2:] == ["mine", "mine"]


def test_a_request_is_given_up_after_the_last_attempt(server: Server, client: Client) -> None:
    server.on("GET", "/me", BUSY)
    with pytest.raises(UnavailableError, match="the server is draining"):
        client.me()
    assert len(server.to("/me")) == FAST.attempts
    nobody = Client("http://127.0.0.1:1", TOKEN, retry=FAST)
    with nobody, pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:1 does not answer"):
        nobody.me()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid", InvalidRequestError),
        (401, "unauthenticated", NotAuthenticatedError),
        (403, "forbidden", ForbiddenError),
        (404, "not_found", NotFoundError),
        (405, "method_not_allowed", InvalidRequestError),
        (409, "conflict", ConflictError),
        (410, "gone", GoneError),
        (413, "too_large", TooLargeError),
        (415, "unsupported_media_type", InvalidRequestError),
        (429, "quota_exceeded", QuotaExceededError),
        (500, "internal", ServerError),
    ],
)
def test_each_error_has_its_class_and_is_not_repeated(
    server: Server, client: Client, status: int, code: str, kind: type[PunchcardError]
) -> None:
    field = "work.data.path"
    server.on("GET", "/me", problem(status, code, f"{field}: it is not there", field))
    with pytest.raises(kind, match="it is not there") as caught:
        client.me()
    error = caught.value
    assert (type(error), error.code, error.status) == (kind, code, status)
    assert error.detail == f"{field}: it is not there"
    if isinstance(error, InvalidRequestError):
        assert error.field == field
    assert len(server.to("/me")) == 1


def test_the_field_of_an_error_is_the_one_that_the_server_names(
    server: Server, client: Client
) -> None:
    answer = problem(422, "invalid", "must be at most 5, not 9")
    assert isinstance(answer.body, dict)
    answer.body["field"] = "retries"
    server.on("GET", "/me", answer)
    with pytest.raises(InvalidRequestError) as caught:
        client.me()
    assert caught.value.field == "retries"


def test_a_quota_is_waited_for_if_the_server_says_how_long(server: Server, client: Client) -> None:
    me = {"name": "ada", "role": "user", "programs": True, "quota": {"running": 1}, "usage": {}}
    full = problem(429, "quota_exceeded", "one job at a time", **{"Retry-After": "0"})
    server.on("GET", "/me", [full, Answer(body=me)])
    assert client.me().quota == {"running": 1}


def test_answers_of_another_form_are_errors(server: Server, client: Client) -> None:
    server.on("GET", "/me", Answer(body=b"<html>"))
    with pytest.raises(ServerError, match="is not JSON: <html>"):
        client.me()
    for document in ({"id": "j1"}, job(created_at="yesterday"), job(created_at=5)):
        server.on("GET", "/jobs/j1", Answer(body=document))
        with pytest.raises(ServerError, match="not the JSON of a JobInfo"):
            client.job("j1")
    server.on("GET", "/me", Answer(302, headers={"Location": "https://elsewhere"}))
    with pytest.raises(PunchcardError, match="redirects to https://elsewhere"):
        client.me()
    server.on("GET", "/me", Answer(500, b"stack trace"))
    with pytest.raises(ServerError, match="stack trace"):
        client.me()


def test_a_wrong_token_is_told(server: Server) -> None:
    client = Client(server.address, "other")
    with client, pytest.raises(NotAuthenticatedError, match="the token is unknown"):
        client.me()


@pytest.mark.parametrize(
    "address", ["http://cluster:7438", "http://10.0.0.1", "http://localhost.x"]
)
def test_a_token_is_not_sent_over_plain_http_to_another_machine(address: str) -> None:
    with pytest.raises(InsecureAddressError, match=r"use https.*insecure=True.*--insecure"):
        Client(address, TOKEN)
    Client(address, TOKEN, insecure=True).close()


@pytest.mark.parametrize("address", ["cluster:7438", "ftp://a", "http://", "https://u:p@host"])
def test_an_address_must_be_one_of_a_server(address: str) -> None:
    with pytest.raises(ValueError, match="address must"):
        Client(address, TOKEN)


@pytest.mark.parametrize("address", ["http://[::1]:1", "http://localhost:1", "https://cluster"])
def test_other_addresses_are_accepted(address: str) -> None:
    Client(address, TOKEN).close()


def test_a_file_of_certificates_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="not a file of certificates in PEM"):
        Client("https://cluster", TOKEN, ca=str(tmp_path / "none.pem"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_server_with_a_certificate_of_its_own_is_trusted_by_its_file(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    name = ["-subj", "/CN=punchcard", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *name, *files], check=True, capture_output=True
    )
    with serving((certificate, key)) as server:
        server.on("GET", "/clusters", Answer(body={"clusters": [{"name": "default"}]}))
        assert server.address.startswith("https://")
        with Client(server.address, TOKEN, ca=str(certificate)) as client:
            assert client.clusters()[0]["name"] == "default"
        stranger = Client(server.address, TOKEN, retry=FAST)
        match = r"certificate that is not trusted: .*; give the file of its authority as ca"
        with stranger, pytest.raises(UnavailableError, match=match):
            stranger.clusters()


def test_an_address_with_the_wrong_scheme_is_told_at_once() -> None:
    # As a TLS server answers to HTTP: the alert "unexpected message".
    alert = b"\x15\x03\x03\x00\x02\x02\x0a"
    for scheme, other, answer in (("http", "https", alert), ("https", "http", b"HTTP/1.1 400\r\n")):
        with listening(answer) as (port, received):
            client = Client(f"{scheme}://127.0.0.1:{port}", TOKEN, retry=FAST)
            with client, pytest.raises(UnavailableError, match=rf"is the address {other}://127"):
                client.me()
        assert len(received) == 1, scheme


def test_without_httpx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ImportError, match=r"pip install 'firesteel\[punchcard\]'"):
        Client("https://cluster", TOKEN)


def test_jobs_come_page_by_page(server: Server, client: Client) -> None:
    def page(request: Request) -> Answer:
        before = request.query.get("before", ["5"])[0]
        numbers = range(int(before) - 1, max(-1, int(before) - 3), -1)
        following = str(numbers[-1]) if numbers[-1] else None
        return Answer(body={"jobs": [job(str(one)) for one in numbers], "next": following})

    server.on("GET", "/jobs", page)
    assert [one.id for one in client.jobs(state=["RUNNING", "QUEUED"])] == list("43210")
    assert len(server.to("/jobs")) == 3
    assert server.requests[0].query["state"] == ["RUNNING", "QUEUED"]
    first = next(client.jobs(name="a"))
    assert first.id == "4" and len(server.to("/jobs")) == 4
    server.on("GET", "/jobs", Answer(body={"jobs": [job()], "next": "j1"}))
    with pytest.raises(ServerError, match="followed by itself"):
        list(client.jobs())


def test_jobs_are_listed_whatever_their_progress_has(server: Server, client: Client) -> None:
    kinds = [None, {}, {"rows": 3}, {"epoch": 1}, {"epoch": 1, "epochs": 2, "loss": None}]
    jobs = [job(str(number), progress=one) for number, one in enumerate(kinds)]
    server.on("GET", "/jobs", Answer(body={"jobs": jobs, "next": None}))
    found = [one.progress and (one.progress.epoch, one.progress.epochs) for one in client.jobs()]
    assert found == [None, (None, None), (None, None), (1, None), (1, 2)]


def test_jobs_are_cancelled_resubmitted_and_deleted(server: Server, client: Client) -> None:
    server.on("POST", "/jobs/j1/cancel", [Answer(drop=True), Answer(202, job(state="CANCELLED"))])
    assert client.cancel("j1").is_final
    server.on("POST", "/jobs/j1/resubmit", [BUSY, Answer(202, job("j2", resubmitted_from="j1"))])
    assert client.resubmit("j1").resubmitted_from == "j1"
    keys = [request.headers["idempotency-key"] for request in server.to("/jobs/j1/resubmit")]
    assert len(keys) == 2 and len(set(keys)) == 1
    # The first answer is lost: the second attempt finds nothing, which is what was asked for.
    gone = problem(404, "not_found", "there is no job j1")
    server.on("DELETE", "/jobs/j1", [Answer(drop=True), gone])
    client.delete("j1")
    with pytest.raises(NotFoundError):
        client.delete("j1")


def test_ids_cannot_reach_other_paths(server: Server, client: Client) -> None:
    with pytest.raises(NotFoundError):
        client.delete("../users/ada")
    assert server.requests[0].path == "/jobs/..%2Fusers%2Fada"


def test_an_upload_of_a_file_is_repeated_from_its_beginning(
    server: Server, client: Client, tmp_path: Path
) -> None:
    original = server._upload
    answers = iter([BUSY, Answer(drop=True)])
    server.on("POST", "/uploads", lambda request: next(answers, None) or original(request))
    file = tmp_path / "naïve.bin"
    file.write_bytes(CONTENT)
    done = client.upload(file)
    assert server.uploads[done.id] == CONTENT
    assert done.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert server.requests[0].headers["content-length"] == str(len(CONTENT))
    assert client.upload(CONTENT).id == done.id
    client.upload(CONTENT, "Train.PY")
    names = [request.headers["x-firesteel-filename"] for request in server.requests]
    assert names == [*["content.bin"] * 4, "content.py"]


def test_waits_grow_within_their_limit() -> None:
    retry = Retry(first=1.0, most=10.0)
    for attempt, most in ((1, 1.0), (2, 2.0), (4, 8.0), (9, 10.0)):
        waits = [retry.wait(attempt) for _ in range(50)]
        assert most / 2 <= min(waits) and max(waits) <= most and len(set(waits)) > 1
    assert retry.wait(1, 30.0) == 30.0
    assert retry.wait(1, 1e9) == 40.0


def test_the_document_of_a_submission_is_json(server: Server, client: Client) -> None:
    server.on("POST", "/jobs", Answer(202, job()))
    client.submit("a", {"kind": "program"}, conf={"spark.x": "1"}, retries=2, cluster="big")
    assert json.loads(server.to("/jobs")[0].body) == {
        "name": "a",
        "cluster": "big",
        "retries": 2,
        "conf": {"spark.x": "1"},
        "work": {"kind": "program"},
    }
