"""Server-sent events, read again from the last one when the connection breaks."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from firesteel.punchcard.errors import PunchcardError, ServerError
from firesteel.punchcard.transport import Transport, may_retry

QUIET_SECONDS = 60.0
"""The seconds without a byte, even of a comment, after which a stream is opened again."""
END = "end"
"""The type of the last message of a stream."""
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True)
class Message:
    """A server-sent event: its type, its id and its data, read from JSON."""

    type: str
    id: str
    data: Any


class Parser:
    """A parser of server-sent events, fed with bytes as they arrive.

    Only line feeds and carriage returns end a line. The other characters that Unicode counts among
    the ends of lines, such as U+2028, may be part of the data.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._returned = False
        self._type = ""
        self._id = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[Message]:
        """Takes the next bytes; yields the messages that they complete."""
        if self._returned and data:
            # The carriage return before it has ended the line.
            self._returned = False
            data = data.removeprefix(b"\n")
        if not data:
            return
        self._returned = data.endswith(b"\r")
        *lines, self._rest = _LINE_END.split(self._rest + data)
        for line in lines:
            message = self._line(line.decode(errors="replace"))
            if message is not None:
                yield message

    def _line(self, line: str) -> Message | None:
        """Takes a line without its end; returns the message that it completes."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._type = value
            elif name == "id":
                self._id = value
            elif name == "data":
                self._data.append(value)
            return None
        found = self._message() if self._data else None
        self._type, self._data = "", []
        return found

    def _message(self) -> Message:
        text = "\n".join(self._data)
        try:
            return Message(self._type or "message", self._id, json.loads(text))
        except ValueError:
            raise ServerError(f"the server sent an event whose data is not JSON: {text}") from None


class Subscription:
    """The messages of a stream from a position on, without an end if the connection breaks.

    Parameters
    ----------
    transport : Transport
        The connection.
    path : str
        The stream.
    parameter : str
        The query parameter of the position.
    position : int
        The position to begin at. After a message, the stream continues by the message's id instead.
    """

    def __init__(self, transport: Transport, path: str, parameter: str, position: int) -> None:
        self._transport = transport
        self._path = path
        self._parameter = parameter
        self._position = position
        self._last_id = ""
        self._failed = 0

    def __iter__(self) -> Iterator[Message]:
        while True:
            try:
                with self._transport.stream(self._path, **self._request()) as response:
                    parser = Parser()
                    for data in response.iter_bytes():
                        for message in parser.feed(data):
                            yield self._advance(message)
                            if message.type == END:
                                return
                seconds = self._closed()
            except self._failures as error:
                seconds = self._broken(error)
            time.sleep(seconds)

    async def __aiter__(self) -> AsyncIterator[Message]:
        import httpx

        async with httpx.AsyncClient(**self._transport.options) as client:
            while True:
                try:
                    async with client.stream("GET", self._path, **self._request()) as response:
                        if not response.is_success:
                            await response.aread()
                            raise self._transport.failure(response)[0]
                        parser = Parser()
                        async for data in response.aiter_bytes():
                            for message in parser.feed(data):
                                yield self._advance(message)
                                if message.type == END:
                                    return
                    seconds = self._closed()
                except self._failures as error:
                    seconds = self._broken(error)
                await asyncio.sleep(seconds)

    @property
    def _failures(self) -> tuple[type[Exception], ...]:
        return (*self._transport.failures, PunchcardError)

    def _request(self) -> dict[str, Any]:
        last = {"Last-Event-ID": self._last_id} if self._last_id else {}
        return {
            "params": {self._parameter: self._position},
            "headers": {"Accept": "text/event-stream", **last},
            "timeout": max(QUIET_SECONDS, float(self._transport.options["timeout"])),
        }

    def _advance(self, message: Message) -> Message:
        """Returns the message, after which the stream continues if the connection breaks."""
        self._failed = 0
        self._last_id = message.id
        return message

    def _closed(self) -> float:
        """Returns the seconds to wait after an answer that ended without a last message."""
        return self._count(
            ServerError("the server ended the stream before its end, again and again")
        )

    def _broken(self, error: Exception) -> float:
        """Returns the seconds to wait after an error; raises it if it stays."""
        if not isinstance(error, PunchcardError):
            error = self._transport.unreachable(error)
        if not may_retry(error):
            raise error
        return self._count(error)

    def _count(self, error: PunchcardError) -> float:
        self._failed += 1
        if self._failed >= self._transport.retry.attempts:
            raise error
        return self._transport.retry.wait(self._failed)
