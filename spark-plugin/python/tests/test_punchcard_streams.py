"""Logs and events of the client, over connections that break."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("httpx")
from firesteel.punchcard import Client, NotFoundError, ServerError, UnavailableError
from firesteel.punchcard.streams import Parser
from punchcard_server import BUSY, Answer, Request, Server, event, sse

# Characters that are ends of lines for Unicode, but not in server-sent events.
SEPARATORS = "a\u2028b\u2029c\x85d\u000be\x1cf"


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


def test_all_events_are_read_page_by_page(server: Server, client: Client) -> None:
    server.has_events(*(event(seq) for seq in range(1, 2501)))
    assert [one.seq for one in client.events("j1", follow=False)] == [*range(1, 2501)]
    assert [one.seq for one in client.events("j1", 2498, follow=False)] == [2499, 2500]
    asked = [request.query["after"] for request in server.to("/jobs/j1/events")]
    assert asked[:4] == [["0"], ["1000"], ["2000"], ["2500"]]


def test_a_page_of_events_that_were_read_is_an_error(server: Server, client: Client) -> None:
    server.on("GET", "/jobs/j1/events", Answer(body={"events": [event(7)]}))
    with pytest.raises(ServerError, match="events of job j1 after number 7 end with number 7"):
        list(client.events("j1", follow=False))


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


def test_other_ends_of_lines_are_part_of_the_data(server: Server, client: Client) -> None:
    end = ("end", "", {"state": "SUCCEEDED"})
    server.on("GET", "/jobs/j1/log/stream", Answer(body=sse(log_message(0, SEPARATORS), end)))
    assert list(client.follow_log("j1")) == [SEPARATORS]
    message = ("failure", "1", event(1, "failure", reason=SEPARATORS))
    server.on("GET", "/jobs/j1/events/stream", Answer(body=sse(message, end)))

    async def read() -> list[dict[str, Any]]:
        return [one.data async for one in client.events_async("j1")]

    assert asyncio.run(read()) == [{"reason": SEPARATORS}]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_messages_are_read_in_parts_of_any_size(end: str, size: int) -> None:
    lines = [": text", "", "id: 1", "event: log", 'data: "ä\u2028"', "", "data: [1,", "data:2]", ""]
    content = "".join(line + end for line in lines).encode()
    parser = Parser()
    found = [
        (message.type, message.id, message.data)
        for start in range(0, len(content), size)
        for message in parser.feed(content[start : start + size])
    ]
    assert found == [("log", "1", "ä\u2028"), ("message", "1", [1, 2])]


def test_a_message_is_complete_after_a_carriage_return() -> None:
    parser = Parser()
    assert [one.data for one in parser.feed(b"data: 1\r\r")] == [1]
    assert not list(parser.feed(b""))
    assert not list(parser.feed(b"\ndata: 2"))
    assert [one.data for one in parser.feed(b"\n\n")] == [2]
