"""Logs and events of a job, from its program through a real Punchcard server to the client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from firesteel.punchcard import Client, Program
from punchcard import punchcard, wait

# Characters that are ends of lines for Unicode, but not in server-sent events.
TEXT = "a\u2028b\u2029c\x85d\n"
EPOCHS = 1200
# Prints a file, and adds another to the events of its attempt.
PROGRAM = 'cat "$1"\ncat "$2" >> "$(dirname "$FIRESTEEL_PUNCHCARD_REQUEST")/events.jsonl"\n'


def epoch(number: int) -> str:
    data = {"fit": 0, "epoch": number, "epochs": EPOCHS, "loss": 0.5, "metrics": {}}
    return json.dumps({"time": "2026-11-30T05:10:00.123Z", "type": "epoch", "data": data})


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("streams") / "punchcard"
    with punchcard(folder, script=True) as server, server.client() as found:
        yield found


@pytest.fixture(scope="module")
def job(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("program")
    program, text, events = (folder / name for name in ("program.py", "text", "events"))
    program.write_text(PROGRAM)
    text.write_text(TEXT)
    events.write_text("".join(f"{epoch(number)}\n" for number in range(1, EPOCHS + 1)))
    id = client.submit("long", Program(program, [str(text), str(events)])).id
    return wait(client, id, "SUCCEEDED").id


def test_a_log_is_followed_over_the_separators_of_unicode(client: Client, job: str) -> None:
    assert "".join(client.follow_log(job)) == client.log_text(job) == TEXT


def test_more_than_a_page_of_events_is_listed_as_it_is_followed(client: Client, job: str) -> None:
    found = list(client.events(job, follow=False))
    epochs = [event.data["epoch"] for event in found if event.type == "epoch"]
    assert epochs == [*range(1, EPOCHS + 1)]
    assert found == list(client.events(job))
