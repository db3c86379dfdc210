"""dist-keras's Job against a server on a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("httpx")
os.environ.setdefault("KERAS_BACKEND", "torch")
import firesteel
import keras
from firesteel.distkeras.job_deployment import Job, Punchcard, generate_secret
from firesteel.distkeras.trainers import ADAG, EnsembleTrainer, SingleTrainer
from firesteel.layers import Linear, Softmax
from firesteel.network import encode_weights
from firesteel.punchcard import (
    Estimator,
    FetchedModel,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    Program,
)
from punchcard_server import TOKEN, Answer, Server, event, job, problem, serving, sse

NETWORK = firesteel.Network.sequential(Linear(3), Softmax()).with_input_shape(2)
SUMMARY = {
    "rowsTrained": 300,
    "seconds": 2.0,
    "workers": 2,
    "tasks": 2,
    "commits": 10,
    "bytes": 100,
    "stalenessMean": 0.5,
    "stalenessMax": 1,
    "compressionRatio": 1.0,
    "compressionError": 0.0,
    "epochs": [{"epoch": 0, "loss": 0.5, "rows": 300, "learningRate": None, "validation": None}],
}
ENTRY = {"history": [0.5, None], "worker_id": 1, "iteration": 7, "epoch": 0}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        found.on("POST", "/jobs", Answer(202, job()))
        yield found


def model() -> Any:
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, activation="softmax", name="digit")]
    )


def weights(source: int, *names: str) -> dict[str, Any]:
    generator = np.random.default_rng(source)
    shapes = dict(zip(names, ((3, 2), (3,)), strict=True))
    return {name: generator.normal(size=shape).astype("f4") for name, shape in shapes.items()}


def artifacts(
    network: firesteel.BaseNetwork, *members: dict[str, Any], history: Any = (ENTRY,)
) -> dict[str, bytes]:
    several = len(members) > 1
    description = {
        "class": "NetworkClassificationModel",
        "row_shapes": {"features": [2]},
        "members": len(members) if several else None,
    }
    names = [f"weights-{index}.safetensors" for index in range(len(members))]
    return {
        "network.json": network.to_json().encode(),
        "model.json": json.dumps(description).encode(),
        "summary.json": json.dumps(SUMMARY).encode(),
        "history.json": json.dumps(history).encode(),
        "model.zip": b"not opened here",
        **{
            name if several else "weights.safetensors": encode_weights(member)
            for name, member in zip(names, members, strict=True)
        },
    }


def sent(server: Server, trainer: Any, *states: Any, **options: Any) -> Job:
    """A job that was sent, and has these states one after the other."""
    server.on("GET", "/jobs/j1", [Answer(body=job(state=state)) for state in states])
    path = None if isinstance(trainer, Program) else "/data/mnist.parquet"
    found = Job(TOKEN, "mnist", path, 3, 2, trainer, **options)
    found.send(server.address)
    return found


def test_the_job_example_of_dist_keras_gives_a_keras_model_and_a_history(server: Server) -> None:
    mlp = model()
    trained = weights(1, "digit.weight", "digit.bias")
    server.has_artifacts(artifacts(firesteel.from_keras(mlp).with_weights(None), trained))
    trainer = ADAG(
        keras_model=mlp,
        worker_optimizer=keras.optimizers.Adam(0.02),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        num_workers=20,
        batch_size=32,
        communication_window=15,
        num_epoch=1,
        features_col="features_normalized_dense",
        label_col="label_encoded",
    )
    job_ = sent(server, trainer, "QUEUED", "RUNNING", "RUNNING", "RUNNING", "SUCCEEDED")
    for results in (job_.get_trained_model, job_.get_history):
        with pytest.raises(RuntimeError, match=r"no results yet; call wait_completion\(\) first"):
            results()
    job_.wait_completion()
    found = job_.get_trained_model()
    assert isinstance(found, keras.Model)
    kernel, bias = found.get_weights()
    assert np.array_equal(kernel, trained["digit.weight"].T)
    assert np.array_equal(bias, trained["digit.bias"])
    [entry] = job_.get_history()
    loss, metric = entry.pop("history")
    assert loss == 0.5 and np.isnan(metric)
    assert entry == {"worker_id": 1, "iteration": 7, "epoch": 0}

    document = server.to("/jobs")[0].json()
    work = document["work"]
    assert (document["executors"], document["cores"], document["name"]) == (3, 2, "mnist")
    assert work["data"] == {"path": "/data/mnist.parquet", "format": "parquet", "partitions": 6}
    assert work["trainer"]["class"] == "ADAG"
    assert work["trainer"]["arguments"]["communication_window"] == 15
    network = firesteel.BaseNetwork.from_json(server.uploads[work["network"]].decode())
    assert network == firesteel.from_keras(mlp).with_weights(None)
    assert all(b"pickle" not in request.body for request in server.requests)

    server.on("DELETE", "/jobs/j1", Answer(204))
    job_.destroy_remote_job()
    assert len([one for one in server.requests if one.method == "DELETE"]) == 1
    job_.close()


def test_an_ensemble_gives_a_list_of_keras_models(server: Server) -> None:
    mlp = model()
    members = [weights(source, "digit.weight", "digit.bias") for source in (1, 2)]
    server.has_artifacts(artifacts(firesteel.from_keras(mlp).with_weights(None), *members))
    trainer = EnsembleTrainer(mlp, "sgd", "categorical_crossentropy")
    with sent(server, trainer, "SUCCEEDED") as job_:
        job_.wait_completion()
        found = job_.get_trained_model()
    assert len(found) == 2
    for one, member in zip(found, members, strict=True):
        assert np.array_equal(one.get_weights()[1], member["digit.bias"])


@pytest.mark.parametrize("members", [1, 2])
def test_a_network_gives_a_fetched_model(server: Server, members: int) -> None:
    trained = [weights(source, "0.weight", "0.bias") for source in range(members)]
    server.has_artifacts(artifacts(NETWORK, *trained))
    kind = SingleTrainer if members == 1 else EnsembleTrainer
    with sent(server, kind(NETWORK, "sgd", "categorical_crossentropy"), "SUCCEEDED") as job_:
        job_.wait_completion()
    found = job_.get_trained_model()
    assert isinstance(found, FetchedModel)
    assert found.network == NETWORK and found.summary.losses == [0.5]
    assert len(found.members) == members
    assert np.array_equal(found.members[-1]["0.bias"], trained[-1]["0.bias"])
    torch = pytest.importorskip("torch")
    rows = torch.eye(2)
    expected = torch.stack(
        [
            torch.softmax(rows @ torch.tensor(one["0.weight"].T) + torch.tensor(one["0.bias"]), 1)
            for one in trained
        ]
    ).mean(0)
    assert torch.allclose(found.to_torch()(rows), expected, atol=1e-6)
    if members == 1:
        assert np.array_equal(found.trainable_network().weights["0.bias"], trained[0]["0.bias"])


def test_an_estimator_gives_a_fetched_model_and_its_losses(server: Server) -> None:
    history = {"losses": [0.5], "validation_losses": [], "metrics": {}}
    trained = weights(1, "0.weight", "0.bias")
    server.has_artifacts(artifacts(NETWORK, trained, history=history))
    estimator = Estimator("NetworkClassifier", NETWORK, {"epochs": 1})
    with sent(server, estimator, "SUCCEEDED") as job_:
        job_.wait_completion()
        assert job_.get_history() == history
        assert isinstance(job_.get_trained_model(), FetchedModel)
    assert server.to("/jobs")[0].json()["work"]["params"] == {"epochs": 1}


def test_a_failed_job_raises_the_reason_and_the_end_of_its_log(server: Server) -> None:
    log = b"INFO started\n" * 3000 + b"the job failed: ValueError: there is no column 'x'\nbye\n"

    def part(request: Any) -> Answer:
        start, limit = (int(request.query[key][0]) for key in ("offset", "limit"))
        data = log[start : start + limit]
        end = {"X-Firesteel-End": "true"} if start + len(data) == len(log) else {}
        following = {"X-Firesteel-Next": str(start + len(data))}
        return Answer(body=data, headers={"X-Firesteel-Offset": str(start), **following, **end})

    server.on("GET", "/jobs/j1/log", part)
    job_ = sent(server, SingleTrainer(NETWORK, "sgd", "mse"), "STARTING", "FAILED")
    with pytest.raises(JobFailedError, match="no column 'x'") as caught:
        job_.wait_completion()
    # A traceback shows the reason, not a page of Spark's log.
    assert "bye" not in str(caught.value) and "JobFailedError.log" in str(caught.value)
    assert caught.value.reason == "ValueError: there is no column 'x'"
    assert caught.value.log.endswith("bye\n") and len(caught.value.log) < 20_000
    for results in (job_.get_trained_model, job_.get_history):
        with pytest.raises(JobFailedError):
            results()
    assert job_.log() == log.decode()
    job_.close()


def test_a_cancelled_job_raises_and_a_server_that_restarts_is_waited_for(server: Server) -> None:
    server.on("POST", "/jobs/j1/cancel", Answer(202, job(state="CANCELLED")))
    job_ = sent(server, Program(__file__), "RUNNING")
    down = [problem(503, "unavailable", "draining")] * 7
    final = Answer(body=job(state="CANCELLED", reason="cancelled by ada"))
    with pytest.raises(TimeoutError, match="had not finished"):
        job_.wait_completion(0.1)
    assert not job_.is_finished() and job_.state == "RUNNING"
    job_.cancel()
    server.on("GET", "/jobs/j1", [*down, final])
    with pytest.raises(JobCancelledError, match="cancelled by ada"):
        job_.wait_completion(60)
    assert job_.is_finished()
    job_.close()


def test_an_exception_in_the_block_cancels_the_job(server: Server) -> None:
    server.on("POST", "/jobs/j1/cancel", Answer(202, job(state="CANCELLED")))
    with pytest.raises(KeyError), sent(server, Program(__file__), "RUNNING"):
        raise KeyError("mine")
    assert len(server.to("/jobs/j1/cancel")) == 1
    with sent(server, Program(__file__), "SUCCEEDED") as job_:
        job_.wait_completion()
        assert job_.get_trained_model() is None and job_.get_history() is None
    assert len(server.to("/jobs/j1/cancel")) == 1


def test_events_come_asynchronously(server: Server) -> None:
    last = ("end", "", {"state": "SUCCEEDED"})
    body = sse(("epoch", "1", event(1, epoch=1)), ("epoch", "2", event(2, epoch=2)), last)
    server.on("GET", "/jobs/j1/events/stream", Answer(body=body))

    async def read(job_: Job) -> list[int]:
        return [one.seq async for one in job_]

    with sent(server, Program(__file__), "SUCCEEDED") as job_:
        assert asyncio.run(read(job_)) == [1, 2]
        assert [one.seq for one in job_.events()] == [1, 2]


def test_a_submission_that_was_refused_can_be_sent_again_with_its_key(server: Server) -> None:
    field = "work.data.path"
    refused = problem(422, "invalid", f"{field}: '/data' is in no folder of the cluster", field)
    server.on("POST", "/jobs", [refused, Answer(202, job())])
    server.on("GET", "/jobs/j1", Answer(body=job(state="SUCCEEDED")))
    job_ = Job(TOKEN, "mnist", "/data", 1, 1, Program(__file__))
    with pytest.raises(ValueError, match="a program reads its own"):
        job_.send(server.address)
    job_.data_path = None
    with pytest.raises(InvalidRequestError) as caught:
        job_.send(server.address)
    assert caught.value.field == field
    job_.set_num_executors(7)
    job_.set_num_processes(4)
    job_.send(server.address)
    job_.wait_completion()
    first, second = server.to("/jobs")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert (second.json()["executors"], second.json()["cores"]) == (7, 4)
    job_.close()


def test_a_job_is_attached_to_after_a_restart(server: Server) -> None:
    mlp = model()
    trained = weights(1, "digit.weight", "digit.bias")
    server.has_artifacts(artifacts(firesteel.from_keras(mlp).with_weights(None), trained))
    server.on("GET", "/jobs/j1", Answer(body=job(state="SUCCEEDED")))
    trainer = SingleTrainer(mlp, "sgd", "mse")
    with Job.attach(TOKEN, server.address, "j1", trainer) as job_:
        job_.wait_completion()
        assert job_.job_name == "mnist"
        assert isinstance(job_.get_trained_model(), keras.Model)


def test_an_attached_job_that_has_succeeded_has_its_results_at_once(server: Server) -> None:
    server.has_artifacts(artifacts(NETWORK, weights(1, "0.weight", "0.bias")))
    server.on("GET", "/jobs/j1", Answer(body=job(state="SUCCEEDED")))
    with Job.attach(TOKEN, server.address, "j1") as job_:
        assert job_.get_history()[0]["iteration"] == 7
        assert type(job_.get_trained_model()) is FetchedModel
    # A job that was closed before its end is not waited for any more.
    server.on("GET", "/jobs/j1", Answer(body=job(state="RUNNING")))
    job_ = Job.attach(TOKEN, server.address, "j1")
    job_.close()
    server.on("GET", "/jobs/j1", Answer(body=job(state="SUCCEEDED")))
    assert isinstance(job_.get_trained_model(), FetchedModel)
    job_.close()


def test_a_job_of_a_program_that_is_attached_to_has_no_model(server: Server) -> None:
    server.on("GET", "/jobs/j1", Answer(body=job(state="SUCCEEDED", kind="program")))
    with Job.attach(TOKEN, server.address, "j1") as job_:
        assert job_.get_trained_model() is None and job_.get_history() is None


def test_a_failed_job_is_destroyed_without_results(server: Server) -> None:
    server.on("GET", "/jobs/j1/log", Answer(body=b"", headers={"X-Firesteel-End": "true"}))
    server.on("DELETE", "/jobs/j1", Answer(204))
    with sent(server, SingleTrainer(NETWORK, "sgd", "mse"), "FAILED") as job_:
        job_.destroy_remote_job()
    assert [one.path for one in server.requests if one.method == "DELETE"] == ["/jobs/j1"]


def test_a_job_that_was_not_sent_says_so() -> None:
    job_ = Job(TOKEN, "mnist", "/data", 1, 1, Program(__file__))
    acts = (job_.wait_completion, job_.cancel, job_.is_finished, job_.log, job_.get_history)
    for act in acts:
        with pytest.raises(RuntimeError, match=r"call send\(address\)"):
            act()


def test_a_secret_is_printed_as_an_entry_of_the_secrets_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret = generate_secret("userX")
    assert json.loads(capsys.readouterr().out) == {"secret": secret, "identity": "userX"}
    assert re.fullmatch("[A-Z0-9]{64}", secret) and secret != generate_secret("userX")


def test_the_server_needs_a_secrets_file_of_the_right_form(tmp_path: Any) -> None:
    file = tmp_path / "secrets.json"
    punchcard = Punchcard(str(file), 8000)
    with pytest.raises(
        FileNotFoundError, match=r"secrets_path: there is no file '.*generate_secret"
    ):
        punchcard.run()
    file.write_text("[{")
    with pytest.raises(ValueError, match=r"secrets\.json is not JSON: .* line 1"):
        punchcard.run()
    file.write_text('[{"secret": "s"}]')
    with pytest.raises(ValueError, match="objects with 'secret' and 'identity'"):
        punchcard.run()


def test_the_server_imports_the_secrets_and_serves(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = tmp_path / "called"
    binary = tmp_path / "binary"
    binary.write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    binary.chmod(0o755)
    monkeypatch.setenv("FIRESTEEL_PUNCHCARD_BINARY", str(binary))
    secrets = tmp_path / "secrets.json"
    secrets.write_text('[{"secret": "s", "identity": "ada"}]')
    Punchcard(str(secrets), 8000, folder=str(tmp_path / "server")).run()
    config = tmp_path / "server/punchcard.toml"
    assert called.read_text().splitlines() == [
        f"secrets import --config {config} {secrets}",
        f"serve --config {config}",
    ]
    assert 'listen = "127.0.0.1:8000"' in config.read_text()
    binary.write_text("#!/bin/sh\n[ $1 = secrets ]\n")
    with pytest.raises(RuntimeError, match="exit code 1"):
        Punchcard(str(secrets), 8000, folder=str(tmp_path / "server")).run()
    binary.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(RuntimeError, match=r"secrets\.json were not imported \(exit code 3\)"):
        Punchcard(str(secrets), 8000, folder=str(tmp_path / "server")).run()
