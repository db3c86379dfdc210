"""The client against a server on a real socket that fails and breaks connections."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx")
from firesteel.punchcard import (
    ChecksumError,
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
    CREATED,
    TOKEN,
    Answer,
    Request,
    Server,
    event,
    job,
    problem,
    ranged,
    serving,
    sse,
)

FAST = Retry(attempts=4, first=0.01, most=0.02)
BUSY = problem(503, "unavailable", "the server is draining")
CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, TOKEN, timeout=5, retry=FAST) as found:
        yield found


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
    server.on("GET", "/jobs/j1", Answer(body={"id": "j1"}))
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
    with pytest.raises(InsecureAddressError, match="use https, or insecure=True"):
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


def test_without_httpx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ImportError, match=r"pip install firesteel\[punchcard\]"):
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


def logs(content: bytes) -> Any:
    def answer(request: Request) -> Answer:
        start = int(request.query["offset"][0])
        part = content[start : start + int(request.query["limit"][0])]
        headers = {"X-Firesteel-Offset": str(start), "X-Firesteel-Next": str(start + len(part))}
        if start + len(part) == len(content):
            headers["X-Firesteel-End"] = "true"
        return Answer(body=part, headers=headers)

    return answer


def test_a_log_is_read_by_offset(server: Server, client: Client) -> None:
    text = "".join(f"zeile {number} ä\n" for number in range(200_000))
    server.on("GET", "/jobs/j1/log", logs(text.encode()))
    chunk = client.log("j1", 6, 1)
    assert (chunk.offset, chunk.next, chunk.text, chunk.end) == (6, 7, "0", False)
    assert client.log_text("j1") == text
    end = client.log_text("j1", 100)
    assert text.endswith(end) and end.startswith("zeile") and 60 < len(end.encode()) <= 100


def log_message(offset: int, text: str, attempt: int = 1) -> tuple[str, str, Any]:
    data = {"offset": offset, "text": text, "attempt": attempt}
    return "log", f"{attempt}:{offset + len(text)}", data


def test_a_broken_log_stream_continues_after_its_last_message(
    server: Server, client: Client
) -> None:
    first, second = sse(log_message(0, "one\n")), sse(log_message(4, "two\n"))
    parts = [
        Answer(body=first + second, cut=len(first) + 20),
        Answer(drop=True),
        BUSY,
        Answer(body=second),
        Answer(body=sse(log_message(0, "three\n", 2), ("end", "", {"state": "SUCCEEDED"}))),
    ]
    server.on("GET", "/jobs/j1/log/stream", parts)
    assert "".join(client.follow_log("j1")) == "one\ntwo\nthree\n"
    sent = server.to("/jobs/j1/log/stream")
    assert [request.query["offset"] for request in sent] == [["0"]] * 5
    marks = [request.headers.get("last-event-id") for request in sent]
    assert marks == [None, "1:4", "1:4", "1:4", "1:8"]


def events_in_parts() -> list[Answer]:
    first = sse(*[("epoch", str(seq), event(seq, epoch=seq)) for seq in (1, 2)])
    last = sse(("result", "3", event(3, "result")), ("end", "", {"state": "FAILED"}))
    return [Answer(body=first + last, cut=len(first) + 10), Answer(drop=True), Answer(body=last)]


def test_events_are_followed_over_broken_connections(server: Server, client: Client) -> None:
    server.on("GET", "/jobs/j1/events/stream", events_in_parts())
    found = list(client.events("j1"))
    assert [(one.seq, one.type) for one in found] == [(1, "epoch"), (2, "epoch"), (3, "result")]
    assert found[1].data == {"epoch": 2}
    sent = server.to("/jobs/j1/events/stream")
    assert [request.headers.get("last-event-id") for request in sent] == [None, "2", "2"]
    server.on("GET", "/jobs/j1/events", Answer(body={"events": [event(7)]}))
    assert [one.seq for one in client.events("j1", 6, follow=False)] == [7]


def test_events_are_followed_asynchronously(server: Server, client: Client) -> None:
    server.on("GET", "/jobs/j1/events/stream", events_in_parts())

    async def read() -> list[int]:
        return [one.seq async for one in client.events_async("j1")]

    assert asyncio.run(read()) == [1, 2, 3]

    async def missing() -> None:
        async for _ in client.events_async("j9"):
            pass

    with pytest.raises(NotFoundError):
        asyncio.run(missing())


def test_a_stream_that_never_gets_through_is_given_up(server: Server, client: Client) -> None:
    server.on("GET", "/jobs/j1/events/stream", Answer(drop=True))
    with pytest.raises(UnavailableError, match="does not answer"):
        list(client.events("j1"))
    server.on("GET", "/jobs/j1/events/stream", Answer(body=sse()))
    with pytest.raises(ServerError, match="ended the stream before its end"):
        list(client.events("j1"))
    server.on("GET", "/jobs/j1/events/stream", Answer(body=b"data: {\n\n"))
    with pytest.raises(ServerError, match="not JSON"):
        list(client.events("j1"))


def test_a_broken_download_continues_and_appears_when_it_is_complete(
    server: Server, client: Client, tmp_path: Path
) -> None:
    server.has_artifacts({"model.zip": CONTENT})
    path = "/jobs/j1/artifacts/model.zip"
    # Each connection brings something, so that the number of attempts does not matter.
    cuts = [100_000] * 8
    server.on("GET", path, ranged(CONTENT, cuts))
    target = client.download("j1", "model.zip", tmp_path)
    assert target == tmp_path / "model.zip" and target.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["model.zip"]
    ranges = [request.headers.get("range") for request in server.to(path)]
    assert ranges == [None, *[f"bytes={100_000 * done}-" for done in range(1, 9)]]
    assert client.artifact("j1", "model.zip") == CONTENT


def test_a_download_of_an_earlier_process_continues(
    server: Server, client: Client, tmp_path: Path
) -> None:
    server.has_artifacts({"a": CONTENT, "b": CONTENT, "c": CONTENT})
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    assert client.download("j1", "a", tmp_path).read_bytes() == CONTENT
    assert server.to("/jobs/j1/artifacts/a")[0].headers["range"] == "bytes=1000-"
    # A part that is complete, and one of another version that is longer.
    (tmp_path / "b.part").write_bytes(CONTENT)
    assert client.download("j1", "b", tmp_path / "b").read_bytes() == CONTENT
    assert server.to("/jobs/j1/artifacts/b") == []
    (tmp_path / "c.part").write_bytes(CONTENT + b"1")
    assert client.download("j1", "c", tmp_path).read_bytes() == CONTENT
    # A server that does not give ranges.
    server.on("GET", "/jobs/j1/artifacts/a", Answer(body=CONTENT))
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    assert client.download("j1", "a", tmp_path).read_bytes() == CONTENT


def test_wrong_bytes_are_not_kept(server: Server, client: Client, tmp_path: Path) -> None:
    server.has_artifacts({"model.zip": CONTENT})
    server.on("GET", "/jobs/j1/artifacts/model.zip", ranged(CONTENT[::-1]))
    with pytest.raises(ChecksumError, match=r"'model\.zip' of job j1"):
        client.download("j1", "model.zip", tmp_path)
    assert not (tmp_path / "model.zip").exists()
    assert (tmp_path / "model.zip.part").read_bytes() == b""
    with pytest.raises(NotFoundError, match=r"no artefact 'other'; it has model\.zip"):
        client.artifact("j1", "other")


@pytest.mark.parametrize("name", ["../evil", "a/b", ".bashrc", ".."])
def test_names_of_artefacts_stay_in_the_folder(
    server: Server, client: Client, tmp_path: Path, name: str
) -> None:
    server.has_artifacts({name: b"evil"})
    with pytest.raises(ValueError, match="needs a target file"):
        client.download("j1", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


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
