"""A standalone Spark cluster on several hosts from Spark's view, unlike `local-cluster`."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from conftest import VENVS, descendants

# All of them are this machine, but not to Spark.
HOSTS = ("127.0.0.1", "127.0.0.2")


@dataclass
class Cluster:
    """A running cluster."""

    master: str
    workers: list[int] = field(default_factory=list)

    def executors(self) -> list[int]:
        """The processes of the executors, in the order of the hosts."""
        return [
            pid
            for worker in self.workers
            for pid in descendants(worker, "CoarseGrainedExecutorBackend")
        ]


def _start(folder: Path, name: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
    """Starts a daemon of Spark in the foreground, with its output in a file."""
    venv = VENVS["4.3"]
    log = folder / f"{name}.log"
    environment = {k: v for k, v in os.environ.items() if k not in ("LIBTORCH", "SPARK_HOME")}
    environment["PATH"] = f"{venv / 'bin'}:{environment['PATH']}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(venv / "bin" / "spark-class"), *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return process, log


def _said(log: Path, pattern: str, seconds: float = 60) -> str:
    """Waits for the first match in a log."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"'{pattern}' did not appear in {log}:\n{log.read_text()[-3000:]}")


@contextmanager
def standalone_cluster(folder: Path, cores: tuple[int, ...] = (1, 1)) -> Iterator[Cluster]:
    """Runs a master, and on each host a worker with this many cores; stops them at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    started = []
    try:
        master, log = _start(
            folder,
            "master",
            "org.apache.spark.deploy.master.Master",
            *("--host", HOSTS[0], "--port", "0", "--webui-port", "0"),
        )
        started.append(master)
        cluster = Cluster(_said(log, r"spark://[\d.]+:\d+"))
        for host, count in zip(HOSTS, cores, strict=True):
            worker, log = _start(
                folder,
                f"worker-{host}",
                "org.apache.spark.deploy.worker.Worker",
                *("--host", host, "--webui-port", "0", "--cores", str(count), "--memory", "1g"),
                *("--work-dir", str(folder / f"work-{host}"), cluster.master),
            )
            started.append(worker)
            cluster.workers.append(worker.pid)
            _said(log, "Successfully registered with master")
        yield cluster
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
