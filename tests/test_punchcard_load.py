"""A hundred clients of a Punchcard server at once, also while it is killed again and again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firesteel.punchcard.transport import Retry
from firesteel.punchcard.values import FINAL
from punchcard import Server, punchcard, wait

CLIENTS = 100
USERS = ("ada", "bob", "cyd", "dan")
# Long enough for the restarts of a server on a loaded machine.
RETRY = Retry(attempts=60, first=0.05, most=1.0)
# Writes the attempt's mark into a file when it starts, and prints it when it ends.
PROGRAM = 'echo "$FIRESTEEL_PUNCHCARD_ATTEMPT" >> "$1"\nsleep "$2"\necho "ran $3"\n'


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Runs a server with four users and room for all jobs."""
    quotas = {"running": 8, "running_per_token": 8, "queued": 1000}
    with punchcard(folder, script=True, quotas=quotas, running=16) as server:
        for user in USERS:
            server.add(user, "--programs")
        yield server


def uploads(server: Server) -> dict[str, str]:
    """Uploads the program for each user; returns the ids."""
    ids = {}
    for user in USERS:
        with server.client(user) as client:
            ids[user] = client.upload(PROGRAM.encode(), "program.py").id
    return ids


def work_of(file: str, *arguments: object) -> dict[str, Any]:
    return {"kind": "program", "file": file, "arguments": [str(one) for one in arguments]}


def check(server: Server, ends: dict[str, str], runs: Path, ran: Callable[[str], bool]) -> None:
    """Checks that no job was lost and none ran twice."""
    counts = Counter(runs.read_text().split())
    assert set(counts.values()) == {1}, counts.most_common(3)
    listed: dict[str, str] = {}
    for user in USERS:
        with server.client(user, RETRY) as client:
            listed |= {job.id: job.state for job in client.jobs()}
            for id in (job.id for job in client.jobs()):
                kinds = [
                    event.data["state"]
                    for event in client.events(id, follow=False)
                    if event.type == "state"
                ]
                assert [kind for kind in kinds if kind in FINAL] == [listed[id]], (id, kinds)
    assert listed == ends
    for id, state in ends.items():
        # Without retries a job has one attempt. One that is cancelled may end before it starts.
        assert f"{id}.1" in counts or state == "CANCELLED", (id, state)
        assert state == "SUCCEEDED" or not ran(id), (id, state)
    assert {mark.partition(".")[0] for mark in counts} <= set(ends)
    assert not server.processes()


def test_a_hundred_clients_at_once_lose_no_job_and_run_none_twice(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    ready = threading.Barrier(CLIENTS)

    with serve(tmp_path / "punchcard") as server:
        files = uploads(server)

        def use(number: int) -> tuple[str, str]:
            user = USERS[number % len(USERS)]
            with server.client(user) as client:
                ready.wait(60)
                work = work_of(files[user], runs, 0, number)
                job = client.submit(f"job {number}", work)
                assert job.id in {one.id for one in client.jobs(name=f"job {number}")}
                if number % 2:
                    client.cancel(job.id)
                    client.log_text(job.id)
                    return job.id, wait(client, job.id).state
                assert "".join(client.follow_log(job.id)) == f"ran {number}\n"
                assert client.log_text(job.id) == f"ran {number}\n"
                return job.id, client.job(job.id).state

        with ThreadPoolExecutor(CLIENTS) as threads:
            results = list(threads.map(use, range(CLIENTS)))
        kept = {id for number, (id, _) in enumerate(results) if number % 2 == 0}
        assert len(dict(results)) == CLIENTS
        check(server, dict(results), runs, kept.__contains__)


def test_a_server_that_is_killed_under_load_loses_no_job_and_runs_none_twice(
    tmp_path: Path,
) -> None:
    runs = tmp_path / "runs"
    chance = random.Random(11)
    naps = [chance.uniform(0, 1.5) for _ in range(CLIENTS)]
    kills = [chance.uniform(0.05, 2) for _ in range(10)]

    with serve(tmp_path / "punchcard") as server:
        files = uploads(server)

        def use(number: int) -> tuple[str, str]:
            user = USERS[number % len(USERS)]
            with server.client(user, RETRY) as client:
                time.sleep(naps[number] * 4)
                work = work_of(files[user], runs, naps[number], number)
                job = client.submit(f"job {number}", work)
                if number % 4 == 1:
                    client.cancel(job.id)
                elif number % 4 == 3:
                    assert "".join(client.follow_log(job.id)) == f"ran {number}\n"
                return job.id, wait(client, job.id).state

        with ThreadPoolExecutor(CLIENTS) as threads:
            futures = [threads.submit(use, number) for number in range(CLIENTS)]
            for pause in kills:
                time.sleep(pause)
                server.kill()
                server.start()
            results = [future.result() for future in futures]
        kept = {id for number, (id, _) in enumerate(results) if number % 4 != 1}
        assert len(dict(results)) == CLIENTS
        check(server, dict(results), runs, kept.__contains__)
