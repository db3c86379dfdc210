"""A real Punchcard server, which starts real spark-submit or a script in its place."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import BUILD, PLUGIN_JAR, ROOT, VENVS
from firesteel.punchcard import Client, JobInfo
from firesteel.punchcard.transport import Retry
from firesteel.punchcard.values import FINAL

BINARY = BUILD / "firesteel-punchcard"
# The driver of a job needs numpy.
VENV = VENVS["4.3.0"]
DATA = f"file:{ROOT / 'examples' / 'data'}/"
MARK = "FIRESTEEL_PUNCHCARD_ATTEMPT"
# The seconds in which a job must get to a state, on a machine that also runs other tests.
SECONDS = 240
# The seconds in which the processes of a cancelled job must end: the server's grace, and a delay.
END_SECONDS = 60
# A spark-submit for tests of the server alone: it runs the program in bash, without Spark.
SCRIPT = """#!/bin/bash
while [[ $# -gt 0 && "$1" != *.py ]]; do shift; done
exec bash "$@"
"""


@dataclass
class Server:
    """A server in a folder."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        return self.folder / "punchcard.toml"

    def command(self, *arguments: str) -> str:
        """Runs the command line beside the server; returns what it prints."""
        line = [str(BINARY), *arguments, "--config", str(self.config)]
        return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def start(self) -> None:
        """Starts the server, the first time at a free port and then at the same."""
        log = self.folder / "server.log"
        with log.open("wb") as output:
            line = [str(BINARY), "serve"]
            self.process = subprocess.Popen(line, cwd=self.folder, stderr=output)
        end = time.monotonic() + 30
        while not (found := re.search(r"listening on http://127.0.0.1:(\d+)", log.read_text())):
            assert time.monotonic() < end and self.process.poll() is None, log.read_text()
            time.sleep(0.02)
        self.port = int(found[1])
        text = self.config.read_text().replace("127.0.0.1:0'", f"127.0.0.1:{self.port}'")
        self.config.write_text(text)

    def kill(self) -> None:
        """Kills the server as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def add(self, user: str, *rights: str) -> str:
        """Adds a user with rights such as `--admin`; returns a token."""
        self.command("user", "add", user, *rights)
        self.tokens[user] = self.command("token", "new", "--identity", user)
        return self.tokens[user]

    def client(self, user: str = "ada", retry: Retry | None = None) -> Client:
        """A client of a user who may run programs."""
        if user not in self.tokens:
            self.add(user, "--programs")
        return Client(self.address, self.tokens[user], retry=retry)

    def processes(self, job: str = "") -> list[int]:
        """The processes of a job or of all jobs: supervisors, drivers and their children."""
        folder = str(self.folder / "data" / "jobs" / job)
        return [pid for pid in _pids() if _is_of(pid, folder, job)]

    def end_jobs(self) -> None:
        """Ends the jobs of a server that was killed, and waits for the end of their processes.

        The test fails if a process is left.
        """
        for attempt in (self.folder / "data" / "jobs").glob("*/attempt-*"):
            if not (attempt / "exit.json").exists():
                (attempt / "cancel").touch()
        end = time.monotonic() + END_SECONDS
        while left := self.processes():
            if time.monotonic() > end:
                lines = [_read(pid, "cmdline").replace(b"\0", b" ").decode() for pid in left]
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"processes of jobs are left: {lines}")
            time.sleep(0.1)


def wait(client: Client, id: str, *states: str, seconds: float = SECONDS) -> JobInfo:
    """Waits until a job is in one of some states, by default until it is final.

    The test fails if the job ends in another state.
    """
    end = time.monotonic() + seconds
    while (job := client.job(id)).state not in (states or FINAL):
        assert time.monotonic() < end and not job.is_final, (job, client.log_text(id)[-4000:])
        time.sleep(0.1)
    return job


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, file: str) -> bytes:
    # A process may have ended meanwhile; one that has ended and is not reaped has no lines.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{file}").read_bytes()
    return b""


def _is_of(pid: int, folder: str, job: str) -> bool:
    command = _read(pid, "cmdline").split(b"\0")
    if b"supervise" in command and any(part.startswith(folder.encode()) for part in command):
        return True
    variables = _read(pid, "environ").split(b"\0")
    marked = any(one.startswith(f"{MARK}={job}".encode()) for one in variables)
    # The mark has the job's name; the folder of its results is the server's.
    return marked and any(f"={folder}".encode() in one for one in variables)


@contextmanager
def punchcard(
    folder: Path,
    *,
    master: str = "local[2]",
    conf: Mapping[str, str | None] | None = None,
    environment: Mapping[str, str] | None = None,
    script: bool = False,
    quotas: Mapping[str, int] | None = None,
    limits: Mapping[str, int] | None = None,
    running: int = 8,
) -> Iterator[Server]:
    """Runs a server whose jobs run on a master; ends what its jobs have left at the end.

    With `script`, programs run in bash without Spark.
    """
    folder.mkdir(parents=True, exist_ok=True)
    submit = VENV / "bin" / "spark-submit"
    if script:
        submit = folder / "submit"
        submit.write_text(SCRIPT)
        submit.chmod(0o755)
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
        **{key: value for key, value in (conf or {}).items() if value is not None},
    }
    variables = {
        "PYSPARK_PYTHON": str(VENV / "bin" / "python"),
        "SPARK_LOCAL_DIRS": str(folder / "spark-local"),
        # The short-lived JVMs of the tests, as the Makefile starts them.
        **(
            {"JAVA_TOOL_OPTIONS": options}
            if (options := os.environ.get("JAVA_TOOL_OPTIONS"))
            else {}
        ),
        **(environment or {}),
    }
    tables: dict[str, Mapping[str, Any]] = {
        "firesteel": {
            "python": str(ROOT / "spark-plugin" / "python"),
            "jar": str(PLUGIN_JAR),
        },
        "quotas": {"running": 4, "running_per_token": 4, **(quotas or {})},
        "limits": limits or {},
        "clusters.tests": {
            "master": master,
            "spark_submit": str(submit),
            "data": [DATA],
            "running": running,
        },
        "clusters.tests.conf": settings,
        "clusters.tests.environment": variables,
    }
    lines = ["listen = '127.0.0.1:0'", "data = 'data'"]
    for name, table in tables.items():
        # JSON's strings and lists are TOML's.
        lines += [f"[{name}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items())]
    server = Server(folder)
    server.config.write_text("\n".join(lines))
    server.start()
    try:
        yield server
    finally:
        server.kill()
        server.end_jobs()
