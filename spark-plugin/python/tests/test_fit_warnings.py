"""Errors and warnings in Python about models that have not learned."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from firesteel import FitWarning, Network, TorchScriptNetwork, from_torch
from firesteel.classification import NetworkClassifier
from firesteel.distkeras.schemes import Emperor
from firesteel.distkeras.trainers import ADAG
from firesteel.layers import Linear, Softmax
from pyspark.ml import Pipeline
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from torch import Tensor, nn


class Idle(nn.Module):
    """An unused layer beside a used one."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(2, 2)
        self.used = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.memory = kind(2, 4, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.memory(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_module_with_a_recurrent_layer_that_would_not_learn_is_refused(
    kind: type[nn.RNNBase],
) -> None:
    with pytest.raises(ValueError, match=f"layer 'memory' .* has the type {kind.__name__} and"):
        from_torch(Recurrent(kind), torch.zeros(2, 5, 2))


def test_a_frozen_recurrent_layer_stays_as_it_is_and_what_is_behind_it_learns(
    blobs: DataFrame,
) -> None:
    module = Recurrent(nn.LSTM)
    module.memory.requires_grad_(False)
    steps = blobs.withColumn("features", F.concat(*[vector_to_array("features")] * 5))
    network = from_torch(module, torch.zeros(2, 5, 2))
    weights = NetworkClassifier(network=network, epochs=1, learningRate=0.02).fit(steps).weights
    for name, before in module.state_dict().items():
        changed = not np.array_equal(weights[name], before.numpy())
        assert changed is not name.startswith("memory."), name


@pytest.mark.parametrize(
    ("last", "units"), [(nn.Sigmoid(), 1), (nn.Softmax(dim=1), 2)], ids=["Sigmoid", "Softmax"]
)
def test_a_module_that_ends_in_an_activation_of_the_loss_is_refused(
    blobs: DataFrame, last: nn.Module, units: int
) -> None:
    two = blobs.filter("label < 2")
    network = from_torch(nn.Sequential(nn.Linear(2, units), last))
    with pytest.raises(
        Exception, match=f"ends in {type(last).__name__}, .* (takes logits|the logit of class 1)"
    ):
        NetworkClassifier(network=network).fit(two)


def test_a_parameter_without_a_gradient_is_warned_of_where_fit_was_called(
    blobs: DataFrame,
) -> None:
    classifier = NetworkClassifier(network=from_torch(Idle()), epochs=1, learningRate=0.02)
    with pytest.warns(FitWarning) as caught:
        model = classifier.fit(blobs)
    (text,) = [text for text in model.summary.warnings if "gradient" in text]
    assert text.startswith("each of the parameters 'idle.weight', 'idle.bias' got no gradient")
    (found,) = [each for each in caught if str(each.message) == text]
    assert found.filename == __file__
    with pytest.warns(FitWarning, match="'idle.weight'") as caught:
        Pipeline(stages=[classifier]).fit(blobs)
    assert {each.filename for each in caught} == {__file__}


def test_what_a_fit_lacks_is_warned_of(blobs: DataFrame, network: Network) -> None:
    few = blobs.limit(3).repartition(1).withColumn("held", F.lit(False))
    classifier = NetworkClassifier(
        network=network,
        strategy="adag",
        epochs=1,
        numWorkers=4,
        validationIndicatorCol="held",
        learningRate=0.01,
    )
    with pytest.warns(FitWarning) as caught:
        classifier.fit(few)
    texts = " ".join(str(each.message) for each in caught)
    assert re.search(r"[12] of 4 workers had no rows", texts)
    assert "no row is held out for validation" in texts


def test_a_fit_that_learns_nothing_is_warned_of(blobs: DataFrame) -> None:
    still = NetworkClassifier(
        network=Network.sequential(Linear(3), Softmax()),
        featuresCol="same",
        optimizer="sgd",
        learningRate=1e-30,
        epochs=3,
        numWorkers=1,
        shuffle=False,
    )
    same = blobs.withColumn("same", F.lit(0.5))
    with pytest.warns(FitWarning) as caught:
        still.fit(same)
    texts = [str(each.message) for each in caught]
    assert any(text.startswith("the loss did not fall: ") for text in texts)
    assert any(text.startswith("the prediction is constant: output '1' gives") for text in texts)


def test_a_fit_that_learns_gives_no_warning(
    classifier: NetworkClassifier, blobs: DataFrame
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FitWarning)
        assert classifier.fit(blobs).summary.warnings == []


def test_training_of_a_module_goes_on_from_its_trained_weights(
    spark: SparkSession, blobs: DataFrame
) -> None:
    trainer = ADAG(
        from_torch(nn.Linear(2, 3)), "sgd", "sparse_categorical_crossentropy", num_workers=1
    )
    losses = []
    for _ in range(3):
        trainer.set_model(trainer.train(blobs))
        losses.append(trainer.get_averaged_history()[0][0])
    assert losses[2] < losses[1] < losses[0]
    before = losses[-1]

    def loss(model: Any, rows: DataFrame) -> float:
        losses.append(trainer.get_averaged_history()[0][0])
        return float(losses[-1])

    Emperor(trainer, loss, num_epoch=2, evaluation_frequency=2).optimize(blobs, blobs)
    assert losses[-1] < losses[-2] < before


def test_the_weights_that_a_module_starts_from_are_part_of_its_json() -> None:
    network = from_torch(nn.Linear(2, 3))
    weights = {"weight": [[1.0, 2.0]] * 3, "bias": [0.5] * 3}
    given = network.with_weights({name: torch.tensor(v).numpy() for name, v in weights.items()})
    again = TorchScriptNetwork.from_json(given.to_json())
    assert isinstance(again, TorchScriptNetwork)
    assert again == given != network and again.with_weights(None) == network
    assert again.weights is not None and again.weights["bias"].tolist() == [0.5] * 3
    assert again.to_torch()(torch.ones(1, 2)).tolist() == [[3.5] * 3]
