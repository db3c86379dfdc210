"""The JSON forms of trainers, estimators and programs, which need no Keras where they are read."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
import firesteel
import keras
from firesteel.classification import NetworkClassifier
from firesteel.distkeras import losses, optimizers
from firesteel.distkeras.trainers import (
    ADAG,
    AEASGD,
    DOWNPOUR,
    EAMSGD,
    EnsembleTrainer,
    SingleTrainer,
    Trainer,
)
from firesteel.estimator import NetworkEstimator
from firesteel.layers import Linear, Softmax
from firesteel.punchcard import Data, Estimator, Program, estimators, trainers
from firesteel.punchcard.work import work_document
from firesteel.regression import NetworkRegressor
from pyspark.sql import SparkSession

NETWORK = firesteel.Network.sequential(Linear(3), Softmax())
WEIGHTED = NETWORK.with_weights({"0.weight": np.zeros((3, 2)), "0.bias": np.ones(3)})
OPTIMIZERS = [
    "adam",
    "SGD",
    keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    keras.optimizers.AdamW(0.002, weight_decay=0.01, clipvalue=0.5),
    keras.optimizers.Adam(0.02, amsgrad=True, global_clipnorm=1.0),
    keras.optimizers.RMSprop(0.001, rho=0.8, centered=True),
    keras.optimizers.Adagrad(0.1),
    keras.optimizers.Adadelta(1.0),
    keras.optimizers.Adamax(),
    keras.optimizers.Nadam(),
]
LOSSES = [
    "categorical_crossentropy",
    "mse",
    keras.losses.kl_divergence,
    keras.losses.Hinge(),
    keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    keras.losses.BinaryCrossentropy,
]


def some(name: str, source: random.Random) -> Any:
    """A value of an argument."""
    whole = ("num_workers", "batch_size", "num_epoch", "communication_window", "num_ensembles")
    if name in (*whole, "master_port"):
        return source.choice([int, np.int64])(source.randint(1, 99))
    return {
        "worker_optimizer": source.choice(OPTIMIZERS),
        "loss": source.choice(LOSSES),
        "metrics": source.choice([["accuracy"], ("accuracy", "mse"), []]),
        "features_col": source.choice(["features", ["features"]]),
        "label_col": "label_encoded",
        "loss_weights": source.choice([None, [0.5], (np.float32(2.0),)]),
        "rho": source.choice([None, 5.0]),
        "learning_rate": source.uniform(0.01, 1.0),
        "momentum": 0.8,
    }[name]


def settings(trainer: Trainer) -> dict[str, Any]:
    """The settings of a trainer's fit."""
    given = trainer.loss if isinstance(trainer.loss, list) else [trainer.loss]
    weights = trainer.loss_weights
    return {
        **trainer._optimizer(),
        **trainer._strategy(),
        "losses": [losses.resolve(loss) for loss in given],
        "weights": None if weights is None else [float(weight) for weight in weights],
        "columns": (trainer.features_column, trainer.label_column),
        "batch": trainer.batch_size,
        "epochs": trainer.num_epoch,
        "metrics": list(trainer.metrics),
    }


@pytest.mark.filterwarnings("ignore:EAMSGD has its own update rule")
@pytest.mark.parametrize("name", trainers.TRAINERS)
def test_a_trainer_comes_back_from_its_json(name: str) -> None:
    kind = trainers.TRAINERS[name]
    for seed in range(40):
        source = random.Random(seed)
        given = {
            argument: some(argument, source)
            for argument in trainers.arguments_of(kind)
            if argument in ("worker_optimizer", "loss") or source.random() < 0.7
        }
        trainer = kind(WEIGHTED, **given)
        if hasattr(trainer, "set_parallelism_factor"):
            trainer.set_parallelism_factor(source.randint(1, 3))
        if hasattr(trainer, "set_learning_rate") and seed % 2:
            trainer.set_learning_rate(source.uniform(0.001, 0.1))
        document, network = trainers.describe(trainer)
        text = json.dumps(document, allow_nan=False)
        assert network == WEIGHTED
        again = trainers.build(json.loads(text), network)
        assert type(again) is kind
        found, expected = settings(again), settings(trainer)
        for key in ("learningRate", "elasticAlpha"):
            assert found.pop(key, None) == pytest.approx(expected.pop(key, None))
        assert found == expected
        assert trainers.describe(again)[0] == document


def test_each_argument_of_each_trainer_has_a_form() -> None:
    for kind in trainers.TRAINERS.values():
        names = trainers.arguments_of(kind)
        everything = {name: some(name, random.Random(1)) for name in names}
        document, _ = trainers.describe(kind(NETWORK, **everything))
        assert set(document["arguments"]) == set(names)
        assert set(inspect.signature(kind).parameters) == {*names, "keras_model"}


@pytest.mark.parametrize("given", OPTIMIZERS)
def test_an_optimizer_has_the_same_params_by_its_json(given: Any) -> None:
    form = json.loads(json.dumps(optimizers.to_json(given)))
    assert optimizers.optimizer_params(form) == optimizers.optimizer_params(given)
    form = optimizers.to_json(given, 0.5)
    expected = optimizers.optimizer_params(given)
    assert optimizers.optimizer_params(form) == {
        **expected,
        "learningRate": expected["learningRate"] / 2,
    }


def test_keras_forms_of_optimizers_and_losses_are_read() -> None:
    for given in OPTIMIZERS[2:]:
        form = keras.optimizers.serialize(given)
        assert optimizers.optimizer_params(form) == optimizers.optimizer_params(given)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.25)
    assert losses.resolve(keras.losses.serialize(loss)) == losses.resolve(loss)


def house() -> Any:
    size = keras.Input((2,), name="size")
    hidden = keras.layers.Dense(4, activation="relu")(size)
    cost = keras.layers.Dense(1, name="cost")(hidden)
    dear = keras.layers.Dense(1, activation="sigmoid", name="dear")(hidden)
    return keras.Model(size, [cost, dear])


def test_losses_by_name_become_a_list_in_the_order_of_the_outputs() -> None:
    trainer = SingleTrainer(
        house(),
        "adam",
        {"dear": "binary_crossentropy", "cost": keras.losses.MeanSquaredError()},
        loss_weights={"dear": 2, "cost": 1},
        label_col=["price", "high"],
    )
    arguments = trainers.describe(trainer)[0]["arguments"]
    assert arguments["loss"] == ["mean_squared_error", "binary_crossentropy"]
    assert arguments["loss_weights"] == [1.0, 2.0]


class Own(ADAG):
    pass


def test_what_has_no_json_form_is_named() -> None:
    def refused(kind: type[Exception], match: str, trainer: Trainer) -> None:
        with pytest.raises(kind, match=match):
            trainers.describe(trainer)

    def odd(true: Any, predicted: Any) -> Any:
        return 0

    refused(ValueError, "loss 'odd' has no counterpart", ADAG(NETWORK, "adam", odd))
    refused(ValueError, "worker_optimizer 'Lion'", ADAG(NETWORK, keras.optimizers.Lion(), "mse"))
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    scheduled = keras.optimizers.SGD(schedule)
    refused(ValueError, "worker_optimizer SGD: its learning rate", ADAG(NETWORK, scheduled, "mse"))
    refused(TypeError, "features_col", ADAG(NETWORK, "sgd", "mse", features_col=object()))
    refused(TypeError, "metrics", ADAG(NETWORK, "sgd", "mse", metrics=[3]))
    refused(ValueError, "num_workers must be", ADAG(NETWORK, "sgd", "mse", num_workers=0))
    refused(TypeError, "trainer is a .*Own; a job takes", Own(NETWORK, "sgd", "mse"))
    refused(TypeError, "not str", ADAG("model", "sgd", "mse"))


def form(**changed: Any) -> dict[str, Any]:
    return {"class": "ADAG", "arguments": {"worker_optimizer": "sgd", "loss": "mse", **changed}}


@pytest.mark.parametrize(
    ("document", "match"),
    [
        ([], "must be an object"),
        ({"class": "os.system", "arguments": {}}, "trainer.class must be one of ADAG"),
        ({"class": "Trainer", "arguments": {}}, "trainer.class must be one of"),
        ({"class": "ADAG", "arguments": {"loss": "mse"}}, "needs the argument 'worker_optimizer'"),
        (form(keras_model=1), "no argument 'keras_model'"),
        (form(window=1), "no argument 'window'; its arguments are worker_optimizer, loss"),
        (form(num_workers=True), "num_workers must be a whole number"),
        (form(batch_size="8"), "batch_size must be a whole number"),
        (form(features_col=[1]), "features_col must be a name"),
        (form(metrics="accuracy"), "metrics must be a list"),
        (form(worker_optimizer={"class_name": "sgd", "config": {"lr": 1}}), "no option 'lr'"),
        (form(worker_optimizer=7), "worker_optimizer 'int' has no counterpart"),
    ],
)
def test_a_wrong_form_of_a_trainer_is_named(document: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        trainers.build(document, NETWORK)


class Uploads(dict[str, bytes]):
    def send(self, content: bytes | Path, name: str) -> str:
        id = f"u{len(self)}-{name}"
        self[id] = content if isinstance(content, bytes) else content.read_bytes()
        return id


def test_the_work_of_a_keras_model_has_its_network_and_weights_apart() -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    trainer = DOWNPOUR(model, "adam", "categorical_crossentropy")
    uploads = Uploads()
    work = work_document(trainer, Data("/d", partitions=4), True, uploads.send)
    assert work["data"] == {"path": "/d", "format": "parquet", "partitions": 4}
    assert work["shuffle"] is True
    network = firesteel.BaseNetwork.from_json(uploads[work["network"]].decode())
    assert network.weights is None  # type: ignore[attr-defined]
    trained = network.with_weights(uploads[work["weights"]])  # type: ignore[attr-defined]
    assert trained == firesteel.from_keras(model)


def test_members_of_an_ensemble_and_networks_without_weights_upload_none() -> None:
    for trainer in (EnsembleTrainer(WEIGHTED, "sgd", "mse"), ADAG(NETWORK, "sgd", "mse")):
        uploads = Uploads()
        assert work_document(trainer, "/d", False, uploads.send)["weights"] is None
        assert len(uploads) == 1


def test_an_estimator_comes_back_from_its_json(spark: SparkSession) -> None:
    given = [
        NetworkClassifier(network=WEIGHTED, epochs=5, learningRate=0.1, metrics=["accuracy"]),
        NetworkRegressor(network=NETWORK, strategy="downpour", window=3, clipNorm=1.0),
        NetworkEstimator(network=NETWORK, featuresCols=["a"], labelCols=["b"], shuffle=False),
    ]
    for estimator in given:
        name, params, network = estimators.describe(estimator)
        text = json.dumps(params, allow_nan=False)
        again = estimators.build(name, json.loads(text), network)
        assert type(again) is type(estimator)
        found, expected = (
            {param.name: one.getOrDefault(param) for param in one.params if one.isSet(param)}
            for one in (again, estimator)
        )
        assert found == expected
        described = Estimator(name, network, params)
        assert estimators.describe(described) == (name, params, network)


def test_a_wrong_form_of_an_estimator_is_named() -> None:
    with pytest.raises(ValueError, match="NetworkClassifier has no param 'epoch'; its params are"):
        estimators.describe(Estimator("NetworkClassifier", NETWORK, {"epoch": 3}))
    with pytest.raises(ValueError, match=r"params\.epochs: Could not convert many to int"):
        estimators.describe(Estimator("NetworkClassifier", NETWORK, {"epochs": "many"}))
    with pytest.raises(ValueError, match="no param 'network'"):
        estimators.check("NetworkClassifier", {"network": "{}"})
    with pytest.raises(ValueError, match="estimator must be one of NetworkClassifier"):
        estimators.check("Pipeline", {})
    with pytest.raises(TypeError, match=r"params\.seed has a value of type object"):
        estimators.describe(Estimator("NetworkClassifier", NETWORK, {"seed": object()}))


def test_a_program_uploads_its_files(tmp_path: Path) -> None:
    program, table = tmp_path / "train.py", tmp_path / "table.csv"
    program.write_text("pass")
    table.write_text("1")
    for files in ([table], {"other.csv": table}):
        uploads = Uploads()
        work = work_document(Program(program, ["--n", "1"], files), None, False, uploads.send)
        assert uploads[work["file"]] == b"pass" and work["arguments"] == ["--n", "1"]
        assert list(work["files"]) == ["table.csv" if isinstance(files, list) else "other.csv"]
        assert list(map(uploads.get, work["files"].values())) == [b"1"]


def test_work_that_is_incomplete_is_named(tmp_path: Path) -> None:
    wrong: list[tuple[Any, Any, type[Exception], str]] = [
        (ADAG(NETWORK, "sgd", "mse"), None, ValueError, "data is missing"),
        (Program(tmp_path / "a.sh"), None, ValueError, "file must be a .py or a .jar"),
        (Program(tmp_path / "a.jar"), None, ValueError, "main_class is missing"),
        (Program(tmp_path / "a.py"), None, FileNotFoundError, "a.py: there is no such file"),
        (Program(tmp_path / "a.py"), "/d", ValueError, "a program reads its own"),
        ("train.py", "/d", TypeError, "not str"),
    ]
    for given, data, kind, match in wrong:
        with pytest.raises(kind, match=match):
            work_document(given, data, False, Uploads().send)


def test_the_elastic_trainers_keep_their_rates() -> None:
    for kind, rate in itertools.product((AEASGD, EAMSGD), (0.1, 0.5)):
        trainer = kind(NETWORK, "sgd", "mse", rho=2.0, learning_rate=0.1)
        trainer.set_learning_rate(rate)
        again = trainers.build(trainers.describe(trainer)[0], NETWORK)
        assert again.get_learning_rate() == rate  # type: ignore[attr-defined]
        assert again._strategy()["elasticAlpha"] == pytest.approx(2 * rate)


def test_the_server_knows_the_arguments_of_trainers_and_the_params_of_estimators() -> None:
    root = Path(__file__).parents[3]
    names = json.loads((root / "native/punchcard/src/job/arguments.json").read_text())
    assert names["trainers"] == {
        name: list(trainers.arguments_of(kind)) for name, kind in trainers.TRAINERS.items()
    }
    assert names["estimators"] == {
        name: sorted(estimators.params_of(kind)) for name, kind in estimators.ESTIMATORS.items()
    }
