"""A YARN cluster on this machine: Hadoop's servers, each in its own process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from conftest import BUILD, VENVS, descendants

SERVERS = BUILD / "hadoop" / "lib"
(JARS,) = (VENVS["4.3"] / "lib").glob("python*/site-packages/pyspark/jars")
# What the servers need of Spark's jars: the shared part of Hadoop, and logging.
SHARED = ("hadoop-client-*", "slf4j-api-*", "jcl-over-slf4j-*", "log4j-*")
# All of them are this machine, but not to YARN.
HOST = "127.0.0.1"
NODES = ("127.0.0.2", "127.0.0.3")
LOGGING = """
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n%ex
"""


@dataclass
class Cluster:
    """A running cluster."""

    folder: Path
    web: str
    node_managers: list[int] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that uses the cluster."""
        return {"HADOOP_CONF_DIR": str(self.folder / "client")}

    @property
    def conf(self) -> dict[str, str | None]:
        """The settings of an application with two executors, which use the installed Spark."""
        return {
            "spark.yarn.jars": f"local:{JARS}/*",
            "spark.yarn.stagingDir": (self.folder / "staging").as_uri(),
            "spark.yarn.am.memory": "512m",
            "spark.executor.instances": "2",
            "spark.executor.memory": "1g",
        }

    def applications(self, tag: str) -> list[dict[str, Any]]:
        """The applications with a tag, running and ended, as the ResourceManager knows them."""
        return self._list(f"apps?applicationTags={tag}", "app")

    def nodes(self) -> list[dict[str, Any]]:
        """The NodeManagers that run containers."""
        return self._list("nodes?states=RUNNING", "node")

    def executors(self) -> list[int]:
        """The processes of the executors of all applications."""
        return [
            pid
            for node in self.node_managers
            for pid in descendants(node, "YarnCoarseGrainedExecutorBackend")
            # A shell starts each of them.
            if not descendants(pid)
        ]

    def container_logs(self, application: str) -> dict[str, str]:
        """The standard error of each container of an application, by the container's name."""
        logs = self.folder.glob(f"*/logs/{application}/*/stderr")
        return {log.parent.name: log.read_text(errors="replace") for log in logs}

    def logs(self) -> str:
        """The end of each log of the servers and of the containers."""
        logs = sorted([*self.folder.glob("*.log"), *self.folder.glob("*/logs/*/*/std*")])
        return "\n".join(f"{log}:\n{log.read_text(errors='replace')[-3000:]}" for log in logs)

    def _list(self, path: str, kind: str) -> list[dict[str, Any]]:
        accept = {"Accept": "application/json"}
        request = urllib.request.Request(f"{self.web}/ws/v1/cluster/{path}", headers=accept)
        with urllib.request.urlopen(request, timeout=10) as answer:
            (found,) = json.load(answer).values()
        return list((found or {}).get(kind, []))


def _check_versions() -> None:
    """Fails if the servers are of another release of Hadoop than Spark's clients."""
    (client,) = JARS.glob("hadoop-client-api-*.jar")
    server = SERVERS / client.name.replace("-api-", "-minicluster-")
    assert server.exists(), f"{server} is missing: run `make test`, or correct build.sbt's version"


def _free_ports(count: int) -> list[int]:
    """Ports that no process listens on."""
    with ExitStack() as open_sockets:
        servers = [
            open_sockets.enter_context(socket.create_server((HOST, 0))) for _ in range(count)
        ]
        return [server.getsockname()[1] for server in servers]


def _configure(folder: Path, yarn: Mapping[str, object]) -> None:
    """Writes a folder of Hadoop's configuration files."""
    queues = "yarn.scheduler.capacity"
    files: dict[str, Mapping[str, object]] = {
        "core-site": {"fs.defaultFS": "file:///", "hadoop.tmp.dir": folder / "tmp"},
        "yarn-site": {f"yarn.{key}": value for key, value in yarn.items()},
        "capacity-scheduler": {
            f"{queues}.root.queues": "default",
            f"{queues}.root.default.capacity": 100,
            f"{queues}.maximum-am-resource-percent": 1,
        },
    }
    folder.mkdir(parents=True)
    for name, settings in files.items():
        properties = "\n".join(
            f"<property><name>{key}</name><value>{escape(str(value))}</value></property>"
            for key, value in settings.items()
        )
        (folder / f"{name}.xml").write_text(f"<configuration>\n{properties}\n</configuration>\n")


def _start(folder: Path, name: str, main_class: str) -> subprocess.Popen[bytes]:
    """Starts a server, with the configuration in the folder of its name."""
    shared = [str(jar) for pattern in SHARED for jar in sorted(JARS.glob(f"{pattern}.jar"))]
    java = Path(shutil.which("java") or "java").resolve()
    own = folder / name
    (own / "log4j2.properties").write_text(LOGGING)
    options = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    classes = os.pathsep.join([str(own), f"{SERVERS}/*", *shared])
    with (folder / f"{name}.log").open("wb") as output:
        return subprocess.Popen(
            [str(java), *options, "-cp", classes, f"org.apache.hadoop.yarn.server.{main_class}"],
            cwd=own,
            # Containers run the same Java with the same options.
            env={**os.environ, "JAVA_HOME": str(java.parent.parent)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _kill(server: subprocess.Popen[bytes]) -> None:
    """Ends a server and its containers at once: a NodeManager that is told to stop takes 17 s."""
    for pid in [server.pid, *descendants(server.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.wait()


@contextmanager
def yarn_cluster(folder: Path) -> Iterator[Cluster]:
    """Runs a ResourceManager and a NodeManager on each host; stops them at the end.

    Files are staged in a folder of this machine, so there is no HDFS.
    """
    _check_versions()
    client, scheduler, tracker, web = (f"{HOST}:{port}" for port in _free_ports(4))
    common = {
        "resourcemanager.hostname": HOST,
        "resourcemanager.address": client,
        "resourcemanager.scheduler.address": scheduler,
        "resourcemanager.resource-tracker.address": tracker,
        "resourcemanager.admin.address": f"{HOST}:0",
        "resourcemanager.webapp.address": web,
        "resourcemanager.nodemanagers.heartbeat-interval-ms": 200,
        "scheduler.minimum-allocation-mb": 128,
    }
    _configure(folder / "client", common)
    _configure(folder / "resource-manager", common)
    for node in NODES:
        own = folder / f"node-{node}"
        places = {
            "nodemanager.hostname": node,
            "nodemanager.address": f"{node}:0",
            "nodemanager.localizer.address": f"{node}:0",
            "nodemanager.webapp.address": f"{node}:0",
            "nodemanager.local-dirs": own / "local",
            "nodemanager.log-dirs": own / "logs",
        }
        limits = {
            "nodemanager.resource.memory-mb": 4096,
            "nodemanager.pmem-check-enabled": "false",
            "nodemanager.vmem-check-enabled": "false",
            # A disk that is nearly full is the machine's affair.
            "nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": 100,
            "nodemanager.env-whitelist": "JAVA_HOME,JAVA_TOOL_OPTIONS",
        }
        _configure(own, {**common, **places, **limits})
    cluster = Cluster(folder, f"http://{web}")
    servers = [_start(folder, "resource-manager", "resourcemanager.ResourceManager")]
    try:
        for node in NODES:
            servers.append(_start(folder, f"node-{node}", "nodemanager.NodeManager"))
        cluster.node_managers = [server.pid for server in servers[1:]]
        _await_nodes(cluster, servers)
        yield cluster
    finally:
        for server in reversed(servers):
            _kill(server)


def _await_nodes(
    cluster: Cluster, servers: list[subprocess.Popen[bytes]], seconds: float = 60
) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and all(server.poll() is None for server in servers):
        try:
            if len(cluster.nodes()) == len(NODES):
                return
        except OSError:
            pass  # The ResourceManager does not listen yet.
        time.sleep(0.2)
    raise AssertionError(f"the NodeManagers have not registered:\n{cluster.logs()}")
