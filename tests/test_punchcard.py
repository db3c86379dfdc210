"""Jobs that a Punchcard server runs with real spark-submit."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
from conftest import ROOT
from firesteel import Network
from firesteel.distkeras.job_deployment import Job
from firesteel.distkeras.trainers import ADAG
from firesteel.layers import Linear, ReLU, Softmax
from firesteel.punchcard import Client, Data, Estimator, ForbiddenError, JobInfo, Program
from punchcard import DATA, END_SECONDS, Server, punchcard, wait
from standalone import standalone_cluster
from yarn import yarn_cluster

NETWORK = Network.sequential(Linear(64), ReLU(), Linear(10), Softmax())
TRAIN = Data(f"{DATA}mnist-train.parquet")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with punchcard(tmp_path / "punchcard") as running:
        yield running


def estimator(epochs: int) -> Any:
    params = {"epochs": epochs, "numWorkers": 2, "strategy": "adag", "window": 4, "seed": 1}
    return Estimator("NetworkClassifier", NETWORK, params)


def succeed(client: Client, id: str) -> JobInfo:
    job = wait(client, id)
    assert job.state == "SUCCEEDED", (job, client.log_text(id)[-4000:])
    return job


def test_the_job_of_dist_kerass_readme_trains_a_keras_model(server: Server) -> None:
    mlp = keras.Sequential(
        [
            keras.layers.Input((784,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    trainer = ADAG(
        keras_model=mlp,
        worker_optimizer="adam",
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        num_workers=2,
        batch_size=32,
        communication_window=15,
        num_epoch=1,
        features_col="features",
        label_col="label",
    )
    server.client().close()
    secret, job_name, data_path = server.tokens["ada"], "mnist", TRAIN.path
    num_executors, num_processes = 2, 1

    job = Job(secret, job_name, data_path, num_executors, num_processes, trainer)
    job.send(server.address)
    job.wait_completion()
    trained_model = job.get_trained_model()
    history = job.get_history()

    assert [weights.shape for weights in trained_model.get_weights()] == [
        weights.shape for weights in mlp.get_weights()
    ]
    assert not np.allclose(trained_model.get_weights()[0], mlp.get_weights()[0])
    assert len(history) == 2
    (listed,) = server.client().jobs()
    assert (listed.name, listed.kind, listed.state) == ("mnist", "trainer", "SUCCEEDED")


def test_a_fit_is_followed_by_its_events_and_leaves_a_model(server: Server) -> None:
    with server.client() as client:
        job = client.submit("fit", estimator(2), data=TRAIN)
        kinds = [event.type for event in client.events(job.id)]
        done = succeed(client, job.id)
        assert kinds[0] == "state" and kinds.count("fit") == 1 and kinds.count("epoch") == 2
        assert kinds[-1] == "state" and "result" in kinds
        assert done.progress is not None and done.progress.epoch == done.progress.epochs == 2
        assert done.application_id is not None and done.application_id.startswith("local-")
        names = {artifact.name for artifact in client.artifacts(job.id)}
        assert {"network.json", "weights.safetensors", "summary.json", "model.zip"} <= names


def test_a_server_that_is_killed_again_and_again_runs_a_fit_once(server: Server) -> None:
    with server.client() as client:
        job = client.submit("fit", estimator(2), data=TRAIN, retries=2)
    random.seed(7)
    for _ in range(6):
        time.sleep(random.uniform(0, 2))
        server.kill()
        server.start()
    with server.client() as client:
        done = succeed(client, job.id)
        assert done.attempt == 1
        states = [event.data["state"] for event in client.events(job.id) if event.type == "state"]
        assert states == ["ACCEPTED", "QUEUED", "STARTING", "RUNNING", "SUCCEEDED"]
        kinds = [event.type for event in client.events(job.id)]
        assert kinds.count("fit") == 1 and kinds.count("result") == 1


def test_a_program_that_fails_says_why_in_its_log(server: Server, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nprint('arguments', sys.argv[1:])\nraise ValueError('no rows')\n"
    )
    with server.client() as client:
        job = client.submit("program", Program(program, ["a b", "$HOME"]))
        done = wait(client, job.id)
        assert done.state == "FAILED" and done.exit_code == 1
        log = client.log_text(job.id)
        assert "arguments ['a b', '$HOME']" in log and "ValueError: no rows" in log


def test_a_training_that_fails_gives_its_reason(server: Server) -> None:
    with server.client() as client:
        network = client.upload(NETWORK.to_json().encode(), "network.json")
        weights = client.upload(b"no safetensors", "weights.safetensors")
        work = {
            "kind": "estimator",
            "estimator": "NetworkClassifier",
            "params": {},
            "network": network.id,
            "weights": weights.id,
            "data": {"path": TRAIN.path},
        }
        job = client.submit("broken", work)
        done = wait(client, job.id)
        assert (done.state, done.exit_code) == ("FAILED", 1)
        assert done.reason is not None and done.reason.startswith("work.weights: "), done
        assert f"the job failed: {done.reason}" in client.log_text(job.id)


def test_the_program_of_the_clients_page_leaves_an_artefact_and_an_event(
    server: Server, tmp_path: Path
) -> None:
    page = (ROOT / "docs/punchcard-client.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    [text] = [block for block in blocks if "FIRESTEEL_PUNCHCARD_RESULTS" in block]
    program = tmp_path / "program.py"
    failure = 'write_event("failure", reason="there is no table", retry=False)'
    program.write_text(
        f"import sys\n{text}if sys.argv[1:]:\n    {failure}\n    raise SystemExit(1)\n"
    )
    with server.client() as client:
        done = succeed(client, client.submit("program", Program(program)).id)
        assert client.artifact(done.id, "scores.json") == b'{"accuracy": 0.9}'
        [epoch] = [one for one in client.events(done.id) if one.type == "epoch"]
        assert epoch.data["metrics"] == {"accuracy": 0.9}
        # Spark's own lines, which are about a hundred otherwise.
        assert client.log_text(done.id).count(" INFO ") < 10
        failed = wait(client, client.submit("program", Program(program, ["fail"]), retries=1).id)
        assert (failed.state, failed.reason) == ("FAILED", "there is no table")
        assert failed.attempt == 1


def test_a_program_of_a_user_without_the_right_is_forbidden(server: Server) -> None:
    token = server.add("eve")
    with Client(server.address, token) as client, pytest.raises(ForbiddenError, match="programs"):
        client.submit("program", Program(__file__))


def test_a_fit_on_a_standalone_cluster_is_cancelled_with_its_executors(tmp_path: Path) -> None:
    with standalone_cluster(tmp_path / "cluster") as cluster:
        conf = {"spark.executor.memory": "1g", "spark.cores.max": "2", "spark.executor.cores": "1"}
        with (
            punchcard(tmp_path / "punchcard", master=cluster.master, conf=conf) as server,
            server.client() as client,
        ):
            job = client.submit("long", estimator(1000), data=TRAIN)
            for event in client.events(job.id):
                if event.type == "epoch":
                    break
            assert len(cluster.executors()) == 2
            application = client.job(job.id).application_id
            assert application is not None and application.startswith("app-")
            client.cancel(job.id)
            assert wait(client, job.id).state == "CANCELLED"
            end = time.monotonic() + END_SECONDS
            while cluster.executors():
                assert time.monotonic() < end, "executors are left"
                time.sleep(0.1)


def test_a_fit_on_yarn_carries_its_tag_and_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    with yarn_cluster(tmp_path / "yarn") as cluster:
        conf = {**cluster.conf, "spark.executor.instances": "2"}
        with (
            punchcard(
                tmp_path / "punchcard", master="yarn", conf=conf, environment=cluster.environment
            ) as server,
            server.client() as client,
        ):
            job = client.submit("long", estimator(1000), data=TRAIN)
            for event in client.events(job.id):
                if event.type == "epoch":
                    break
            (application,) = cluster.applications(f"firesteel-{job.id}.1")
            assert application["state"] == "RUNNING"
            assert client.job(job.id).application_id == application["id"]
            client.cancel(job.id)
            assert wait(client, job.id).state == "CANCELLED"
            end = time.monotonic() + END_SECONDS
            while cluster.executors():
                assert time.monotonic() < end, "executors are left"
                time.sleep(0.1)


def test_nothing_of_a_cancelled_fit_is_left(server: Server) -> None:
    with server.client() as client:
        job = client.submit("long", estimator(1000), data=TRAIN)
        for event in client.events(job.id):
            if event.type == "epoch":
                break
        # Processes are found by the mark in their environment, whatever their parents and groups.
        assert len(server.processes(job.id)) >= 2
        client.cancel(job.id)
        assert wait(client, job.id).state == "CANCELLED"
        # The supervisor ends after it has recorded the end.
        end = time.monotonic() + END_SECONDS
        while left := server.processes(job.id):
            assert time.monotonic() < end, left
            time.sleep(0.1)
