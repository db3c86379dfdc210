"""A real Punchcard server, which starts real spark-submit."""

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

from conftest import BUILD, PLUGIN_JAR, ROOT, VENVS
from firesteel.punchcard import Client

BINARY = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/firesteel-punchcard"
# The driver of a job needs numpy.
VENV = VENVS["4.3.0"]
DATA = f"file:{ROOT / 'examples' / 'data'}/"


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

    def command(self, *arguments: str) -> str:
        """Runs the command line beside the server; returns what it prints."""
        line = [str(BINARY), *arguments, "--config", str(self.folder / "punchcard.toml")]
        return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def start(self) -> None:
        log = self.folder / "server.log"
        with log.open("wb") as output:
            line = [str(BINARY), "serve", "--config", str(self.folder / "punchcard.toml")]
            self.process = subprocess.Popen(line, stderr=output)
        end = time.monotonic() + 30
        while not (found := re.search(r"listening on http://127.0.0.1:(\d+)", log.read_text())):
            assert time.monotonic() < end and self.process.poll() is None, log.read_text()
            time.sleep(0.02)
        self.port = int(found[1])

    def kill(self) -> None:
        """Kills the server as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def client(self, user: str = "ada") -> Client:
        """A client of a user who may run programs."""
        if user not in self.tokens:
            self.command("user", "add", user, "--programs")
            self.tokens[user] = self.command("token", "new", "--identity", user)
        return Client(self.address, self.tokens[user])


@contextmanager
def punchcard(
    folder: Path,
    *,
    master: str = "local[2]",
    conf: Mapping[str, str | None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Runs a server whose jobs run on a master; ends what its jobs have left at the end."""
    folder.mkdir(parents=True, exist_ok=True)
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
    tables = {
        "firesteel": {
            "python": str(ROOT / "spark-plugin" / "python"),
            "jar": str(PLUGIN_JAR),
        },
        "quotas": {"running": 4, "running_per_token": 4},
        "clusters.tests": {
            "master": master,
            "spark_submit": str(VENV / "bin" / "spark-submit"),
            "data": [DATA],
        },
        "clusters.tests.conf": settings,
        "clusters.tests.environment": variables,
    }
    lines = ["listen = '127.0.0.1:0'", "data = 'data'"]
    for name, table in tables.items():
        # JSON's strings and lists are TOML's.
        lines += [f"[{name}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in table.items())]
    (folder / "punchcard.toml").write_text("\n".join(lines))
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        with server.client("cleaner"):
            pass
        server.kill()
        for started in (folder / "data" / "jobs").glob("*/attempt-*"):
            (started / "cancel").touch()


def marked(job: str) -> list[int]:
    """Returns the processes with a job's mark in their environment, whatever their parents are."""
    mark = f"FIRESTEEL_PUNCHCARD_ATTEMPT={job}.".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found
