"""A Punchcard server that is killed in each state of jobs that real spark-submit runs."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from pathlib import Path

from firesteel.punchcard import Client, Program
from firesteel.punchcard.values import FINAL
from punchcard import Server, punchcard

# Writes the attempt's mark into a file, and waits for another file.
PROGRAM = """
import os, pathlib, sys, time
with open(sys.argv[1], "a") as runs:
    print(os.environ["FIRESTEEL_PUNCHCARD_ATTEMPT"], file=runs)
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.05)
"""


class Bench:
    """A server that runs one job at a time, and the programs of its jobs."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.runs, self.folder = server, folder / "runs", folder
        self.program = folder / "program.py"
        self.program.write_text(PROGRAM)
        self.jobs: list[str] = []

    def submit(self) -> str:
        """Submits a job whose program waits for `release`."""
        name = f"job {len(self.jobs)}"
        with self.server.client() as client:
            arguments = [str(self.runs), str(self.folder / name)]
            job = client.submit(name, Program(self.program, arguments=arguments), retries=2)
        self.jobs.append(job.id)
        return job.id

    def release(self, id: str) -> None:
        (self.folder / f"job {self.jobs.index(id)}").touch()

    def state(self, id: str) -> str:
        """Reads a job's state from the database, also while no server runs."""
        database = self.server.folder / "data" / "punchcard.db"
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            ((state,),) = connection.execute("SELECT state FROM jobs WHERE id = ?", [id])
        finally:
            connection.close()
        return str(state)

    def until(self, id: str, *states: str) -> None:
        end = time.monotonic() + 240
        while (state := self.state(id)) not in states:
            assert time.monotonic() < end, state

    def kill(self, id: str) -> str:
        """Kills the server; returns the state in which it leaves a job, and starts it again."""
        self.server.kill()
        state = self.state(id)
        self.server.start()
        return state


def ends(client: Client, bench: Bench) -> dict[str, str]:
    for id in bench.jobs:
        bench.release(id)
        bench.until(id, *FINAL)
    return {job.id: job.state for job in client.jobs()}


def test_jobs_run_once_each_under_a_server_that_is_killed_in_each_of_their_states(
    tmp_path: Path,
) -> None:
    with punchcard(tmp_path / "punchcard", running=1) as server:
        bench = Bench(server, tmp_path)
        left = [bench.kill(bench.submit())]
        bench.release(bench.jobs[0])
        bench.until(bench.jobs[0], *FINAL)
        for _ in range(10):
            id = bench.submit()
            bench.until(id, "STARTING", "RUNNING")
            left.append(bench.kill(id))
            bench.release(id)
            bench.until(id, *FINAL)
            if left[-1] == "STARTING":
                break
        first = bench.submit()
        bench.until(first, "RUNNING")
        left.append(bench.kill(first))
        second, third = bench.submit(), bench.submit()
        bench.until(second, "QUEUED")
        left.append(bench.kill(second))
        with server.client() as client:
            client.cancel(third)
            bench.kill(third)
            client.cancel(first)
            bench.kill(first)
            assert {"QUEUED", "STARTING", "RUNNING"} <= set(left), left

            states = ends(client, bench)
            assert bench.kill(second) == "SUCCEEDED"
            cancelled = {first, third}
            assert states == {
                id: "CANCELLED" if id in cancelled else "SUCCEEDED" for id in bench.jobs
            }
            assert {job.id: job.state for job in client.jobs()} == states
        runs = Counter(bench.runs.read_text().split())
        # The first was cancelled while Spark started, or later.
        runs.setdefault(f"{first}.1", 1)
        assert runs == {f"{id}.1": 1 for id in bench.jobs if id != third}
        assert not server.processes()
