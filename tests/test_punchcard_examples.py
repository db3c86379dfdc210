"""The examples of Punchcard's deployment, and its templates of clusters."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import ROOT
from firesteel import Network
from firesteel.layers import Linear, Softmax
from firesteel.punchcard import Data, Estimator, InvalidRequestError, Program
from punchcard import BINARY, SECONDS, Server, punchcard, wait

EXAMPLES = ROOT / "examples" / "punchcard"
CONFIGURATION = EXAMPLES / "punchcard.toml"
CLUSTERS = ("kubernetes", "local", "standalone", "yarn")
# Keeps its arguments as an artefact.
SUBMIT = f"""#!{sys.executable}
import json, os, pathlib, sys
if sys.argv[1:] != ["--version"]:
    file = pathlib.Path(os.environ["FIRESTEEL_PUNCHCARD_RESULTS"], "arguments.json")
    file.write_text(json.dumps(sys.argv[1:]))
"""


def installed(folder: Path) -> str:
    """Makes the files that the example names, below a folder; returns the example with these."""
    site = folder / "opt/firesteel/lib/python3.11/site-packages"
    jars = "firesteel_libtorch_cpu/jars/firesteel-libtorch-cpu-linux-x86_64.jar"
    for name in ("firesteel/punchcard/runner.py", "firesteel/jars/firesteel.jar", jars):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    submit = folder / "opt/spark/bin/spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(SUBMIT)
    submit.chmod(0o755)
    python = folder / "opt/firesteel/bin/python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    (folder / "etc/hadoop/conf").mkdir(parents=True)
    (folder / "etc/punchcard").mkdir()
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-keyout", "key.pem", "-out", "certificate.pem", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run(
        [*openssl, *files], cwd=folder / "etc/punchcard", check=True, capture_output=True
    )
    return re.sub(r'"(/(?:opt|etc|var/lib)/)', rf'"{folder}\1', CONFIGURATION.read_text())


def check(file: Path) -> subprocess.CompletedProcess[str]:
    line = [str(BINARY), "check", "--config", str(file)]
    return subprocess.run(line, check=False, capture_output=True, text=True)


def test_the_example_configuration_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "punchcard.toml"
    data = tmp_path / "srv/data"
    file.write_text(installed(tmp_path).replace("file:/srv/data/", f"file:{data}/"))
    done = check(file)
    assert done.returncode == 1 and f"the folder '{data}/' does not exist" in done.stderr
    data.mkdir(parents=True)
    done = check(file)
    assert done.returncode == 0, done.stderr
    assert "address: https://0.0.0.0:7438" in done.stdout
    assert [line.split()[1].rstrip(":") for line in done.stdout.splitlines()[2:]] == [*CLUSTERS]
    shutil.rmtree(tmp_path / "etc/hadoop")
    done = check(file)
    assert done.returncode == 1 and "clusters.yarn: environment: the folder" in done.stderr


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the example's clusters, whose spark-submit keeps its arguments."""
    folder = tmp_path_factory.mktemp("example")
    text = installed(folder).replace("0.0.0.0:7438", "127.0.0.1:0")
    (folder / "punchcard.toml").write_text(re.sub(r"\[tls\](\n.+)+", "", text))
    server = Server(folder)
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_job_has_the_arguments_of_its_clusters_template(example: Server, cluster: str) -> None:
    template = example_template(cluster)
    with example.client() as client:
        estimator = Estimator("NetworkClassifier", Network.sequential(Linear(2), Softmax()), {})
        job = client.submit(
            "a job; $(id)",
            estimator,
            data=Data(f"{template['data'][0]}rows.parquet"),
            cluster=cluster,
            executors=3,
            cores=2,
            memory="2g",
            conf={"spark.sql.shuffle.partitions": "7"},
        )
        wait(client, job.id, "SUCCEEDED")
        arguments = json.loads(client.artifact(job.id, "arguments.json"))
        for key in ("spark.kubernetes.container.image", "spark.driver.extraJavaOptions"):
            with pytest.raises(InvalidRequestError, match=re.escape(key)):
                client.submit("b", estimator, data=Data("file:/a"), cluster=cluster, conf={key: ""})
    options = dict(zip(arguments[:-1:2], arguments[1:-1:2], strict=True))
    assert options["--master"] == template["master"] and options["--deploy-mode"] == "client"
    assert options["--name"] == "a job; $(id)"
    assert arguments[-1].endswith("/firesteel/punchcard/runner.py")
    pairs = pairwise(arguments)
    conf = dict(value.split("=", 1) for option, value in pairs if option == "--conf")
    expected = {
        **template["conf"],
        "spark.sql.shuffle.partitions": "7",
        "spark.executor.instances": "3",
        "spark.executor.cores": "2",
        "spark.executor.memory": "2g",
        "spark.yarn.tags": f"firesteel-{job.id}.1",
        "spark.kubernetes.driver.label.firesteel-job": job.id,
        "spark.kubernetes.executor.label.firesteel-job": job.id,
    }
    assert {key: conf.get(key) for key in expected} == expected
    assert "spark.submit.deployMode" not in conf and "spark.kubernetes.file.upload.path" not in conf


def example_template(cluster: str) -> dict[str, Any]:
    return tomllib.loads(CONFIGURATION.read_text())["clusters"][cluster]


def test_the_unit_leaves_jobs_running_and_systemd_accepts_it(tmp_path: Path) -> None:
    text = (EXAMPLES / "firesteel-punchcard.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert settings["KillMode"] == "process" and settings["OOMPolicy"] == "continue"
    # What systemd removes at a stop, jobs would miss.
    assert not {"PrivateTmp", "RemoveIPC", "RuntimeDirectory", "DynamicUser"} & settings.keys()
    for key, command in (("ExecStartPre", "check"), ("ExecStart", "serve")):
        _, *arguments = settings[key].split()
        assert arguments == [command, "--config", "/etc/punchcard/punchcard.toml"]
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is missing")
    unit = tmp_path / "firesteel-punchcard.service"
    unit.write_text(text.replace("/opt/firesteel/bin/firesteel-punchcard", str(BINARY)))
    done = subprocess.run([analyze, "verify", unit], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_container_has_the_versions_of_the_build() -> None:
    text = (EXAMPLES / "Dockerfile").read_text()
    versions = (ROOT / "scripts" / "versions.sh").read_text()
    for name, pattern in (
        ("FIRESTEEL_VERSION", r"firesteel\[.*\]==([\d.]+)"),
        ("SPARK_VERSION", r"pyspark==([\d.]+)"),
    ):
        [found] = re.findall(pattern, text)
        assert f"{name}={found}\n" in versions
    image = example_template("kubernetes")["conf"]["spark.kubernetes.container.image"]
    assert f"SPARK_VERSION={image.split(':')[1]}\n" in versions


@dataclass
class Kubernetes:
    """The requests to a server that answers as the API of Kubernetes does, as far as Spark asks."""

    address: str = ""
    created: list[Any] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> Any:
        name = path.rpartition("/")[2]
        if name == "punchcard-0":
            return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "uid": "u"}}
        if (method, path) == ("POST", "/api/v1/namespaces/firesteel/pods"):
            self.created.append(body)
        if method == "POST":
            return body
        return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}


@contextmanager
def kubernetes() -> Iterator[Kubernetes]:
    api = Kubernetes()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            if "watch=" in self.path:
                # Without watches Spark asks for pods and then gives up, which is enough here.
                self.send_error(410)
                return
            found = api.answer(self.command, urlsplit(self.path).path, body)
            text = json.dumps(found).encode()
            self.send_response(201 if self.command == "POST" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield api
        server.shutdown()


def test_spark_asks_kubernetes_for_the_executors_of_a_job(tmp_path: Path) -> None:
    left_out = ("oauthTokenFile", "caCertFile", "driver.host", "memory", "ort")
    conf = {
        key: value
        for key, value in example_template("kubernetes")["conf"].items()
        if not key.endswith(left_out)
    }
    program = tmp_path / "program.py"
    program.write_text(
        "import time\nfrom pyspark.sql import SparkSession\n"
        "SparkSession.builder.getOrCreate()\ntime.sleep(300)\n"
    )
    with (
        kubernetes() as api,
        punchcard(tmp_path / "server", master=f"k8s://{api.address}", conf=conf) as server,
        server.client() as client,
    ):
        job = client.submit("pods", Program(program, []), executors=2, memory="1g")
        end = time.monotonic() + SECONDS
        while len(api.created) < 2:
            assert time.monotonic() < end, client.log_text(job.id)[-4000:]
            time.sleep(0.1)
        for pod in list(api.created):
            assert pod["metadata"]["labels"]["firesteel-job"] == job.id
            [owner] = pod["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["uid"]) == ("Pod", "u")
            [container] = pod["spec"]["containers"]
            assert container["image"] == conf["spark.kubernetes.container.image"]
            assert {"name": "SPARK_EXECUTOR_MEMORY", "value": "1024m"} in container["env"], (
                container
            )
        client.cancel(job.id)
