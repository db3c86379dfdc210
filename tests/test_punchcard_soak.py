"""A Punchcard server under a mixed load: its memory, threads, files and database must not grow.

`make soak` runs it for an hour, `make soak DURATION=600` for ten minutes.
"""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from firesteel.punchcard import Client, GoneError, NotFoundError
from punchcard import Server, punchcard

SECONDS = float(os.environ.get("FIRESTEEL_SOAK_SECONDS", "20"))
CLIENTS = 12
# A step of a client waits for its job at most so long.
SECONDS_OF_A_STEP = 240
PROGRAM = """for line in {1..200}; do echo "line $line of $FIRESTEEL_PUNCHCARD_ATTEMPT"; done
head -c 20000 /dev/urandom > "$FIRESTEEL_PUNCHCARD_RESULTS/a.bin"
sleep "$1"
"""
MIB = 1 << 20
# The most threads of the server that wait for files and for the database; others are few.
BLOCKING_THREADS = 32
SPARE_THREADS = 4


@dataclass
class Sample:
    """The size of a server at a time."""

    rss: float
    descriptors: int
    threads: int
    database: float


@dataclass
class Load:
    """Clients of a server, which remove what they have made."""

    server: Server
    files: dict[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    done: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def run(self, number: int) -> None:
        chance = random.Random(number)
        steps: list[Callable[[Client, random.Random], None]] = [
            self.finish,
            self.finish,
            self.cancel,
            self.upload,
            self.view,
            self.leave,
        ]
        try:
            with self.server.client("ada") as client:
                while not self.stop.is_set():
                    step = chance.choice(steps)
                    step(client, chance)
                    self.done[step.__name__] += 1
        except BaseException:
            self.errors.append(traceback.format_exc())

    def submit(self, client: Client, user: str, seconds: float) -> str:
        file = self.files[user]
        work = {"kind": "program", "file": file, "arguments": [str(seconds)]}
        return client.submit("soak", work).id

    def finish(self, client: Client, chance: random.Random) -> None:
        """Follows a job to its end, fetches what it left, and deletes it."""
        id = self.submit(client, "ada", chance.uniform(0, 0.3))
        assert "line 200 of" in "".join(client.follow_log(id))
        states = [event.data["state"] for event in client.events(id) if event.type == "state"]
        assert states[-1] == "SUCCEEDED"
        assert len(client.artifact(id, "a.bin")) == 20000
        client.delete(id)

    def cancel(self, client: Client, chance: random.Random) -> None:
        """Cancels a job at any time, also while its stream is open."""
        id = self.submit(client, "ada", 60)
        time.sleep(chance.uniform(0, 1))
        for _ in client.events(id):
            client.cancel(id)
        assert client.job(id).is_final
        client.delete(id)

    def upload(self, client: Client, chance: random.Random) -> None:
        """Uploads and deletes."""
        upload = client.upload(chance.randbytes(chance.randrange(1, 2 * MIB)))
        client.delete_upload(upload.id)

    def leave(self, client: Client, chance: random.Random) -> None:
        """Leaves a finished job to the server's retention, which is short for this user."""
        with self.server.client("bob") as other:
            id = self.submit(other, "bob", 0)
            # It may be removed at any time after its end, also before its events are asked for.
            with suppress(NotFoundError, GoneError):
                for _ in other.events(id):
                    pass

    def view(self, client: Client, chance: random.Random) -> None:
        """Signs in to the page, looks at it and signs out."""
        form = "application/x-www-form-urlencoded"
        own = {"Origin": self.server.address, "Content-Type": form}
        with httpx.Client(
            base_url=self.server.address, headers=own, timeout=SECONDS_OF_A_STEP
        ) as browser:
            token = self.server.tokens["ada"]
            assert browser.post("/sign-in", data={"token": token}).status_code == 303
            for path in ("/jobs", "/jobs?state=RUNNING", "/tokens"):
                assert browser.get(path).status_code == 200, path
            assert browser.post("/sign-out").status_code == 303


def sample(server: Server) -> Sample:
    assert server.process is not None
    proc = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    data = server.folder / "data"
    size = sum(file.stat().st_size for file in data.glob("*.db*") if file.exists())
    return Sample(
        int(status["VmRSS"].split()[0]) / 1024,
        len(list((proc / "fd").iterdir())),
        int(status["Threads"]),
        size / MIB,
    )


def middle(samples: list[Sample]) -> Sample:
    """The median of each size."""
    return Sample(
        statistics.median(one.rss for one in samples),
        round(statistics.median(one.descriptors for one in samples)),
        round(statistics.median(one.threads for one in samples)),
        statistics.median(one.database for one in samples),
    )


def test_a_server_under_load_does_not_grow(tmp_path: Path) -> None:
    quotas = {"running": 16, "running_per_token": 16, "queued": 1000}
    with punchcard(tmp_path / "punchcard", script=True, quotas=quotas, running=16) as server:
        for user in ("ada", "bob"):
            server.add(user, "--programs")
        root = {"Authorization": f"Bearer {server.add('root', '--admin')}"}
        change = {"retention_days": 0}
        httpx.patch(
            f"{server.address}/api/v1/users/bob", json=change, headers=root, timeout=60
        ).raise_for_status()
        idle = sample(server)
        files = {}
        for user in ("ada", "bob"):
            with server.client(user) as client:
                files[user] = client.upload(PROGRAM.encode(), "program.py").id
        load = Load(server, files)
        clients = [threading.Thread(target=load.run, args=(n,)) for n in range(CLIENTS)]
        for thread in clients:
            thread.start()
        samples = []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not load.errors:
            time.sleep(0.5)
            samples.append(sample(server))
        load.stop.set()
        for thread in clients:
            thread.join(SECONDS_OF_A_STEP)
        assert not load.errors, load.errors[0]
        assert not any(thread.is_alive() for thread in clients), load.done
        # Caches and the threads of all clients are there after the warm-up.
        parts = [
            samples[round(len(samples) * k / 5) : round(len(samples) * (k + 1) / 5)]
            for k in range(5)
        ]
        first, half, last = (middle(parts[k]) for k in (1, 2, 4))
        print(f"idle {idle}\nfirst {first}\nhalf {half}\nlast {last}\n{dict(load.done)}")
        assert all(load.done[step] for step in ("finish", "cancel", "upload", "view", "leave"))
        assert last.rss < first.rss * 1.15 + 8, (first, last)
        assert last.descriptors < first.descriptors + 2 * CLIENTS, (first, last)
        most = max(one.threads for one in samples)
        assert most <= idle.threads + BLOCKING_THREADS + SPARE_THREADS, (idle, most)
        # Between two sweeps, a minute apart, the jobs that were left take room.
        assert last.database < first.database * 1.5 + 8, (first, last)
        # Nothing of the clients is left open.
        end = time.monotonic() + 30
        while (now := sample(server)).descriptors > idle.descriptors + 8:
            assert time.monotonic() < end, (idle, now)
            time.sleep(0.5)
        assert not server.processes()
