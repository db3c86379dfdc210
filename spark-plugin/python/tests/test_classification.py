"""Classifiers and their models in Python."""

from __future__ import annotations

import doctest
from pathlib import Path

import firesteel.classification
import firesteel.network
import numpy as np
import py4j.protocol
import pytest
from closeness import assert_close
from firesteel import Network
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession


def test_a_classifier_learns(model: NetworkClassificationModel, blobs: DataFrame) -> None:
    evaluator = MulticlassClassificationEvaluator(metricName="accuracy")
    assert evaluator.evaluate(model.transform(blobs)) > 0.95
    assert (model.numClasses, model.numFeatures) == (3, 2)
    assert model.predict(Vectors.dense(3, 0)) == 0.0
    assert model.predictProbability(Vectors.dense(3, 0)).argmax() == 0


def test_weights_are_arrays_that_predict_as_the_model_does(
    model: NetworkClassificationModel, blobs: DataFrame, network: Network
) -> None:
    weights = model.weights
    assert {name: array.shape for name, array in weights.items()} == {
        "0.weight": (16, 2),
        "0.bias": (16,),
        "2.weight": (3, 16),
        "2.bias": (3,),
    }
    assert model.network == network
    frame = model.transform(blobs).select(
        vector_to_array("features"), vector_to_array("rawPrediction")
    )
    features, raw = (np.array(column) for column in zip(*frame.collect(), strict=True))
    hidden = np.maximum(features @ weights["0.weight"].T + weights["0.bias"], 0)
    assert_close(raw, hidden @ weights["2.weight"].T + weights["2.bias"])


def test_a_fit_with_param_maps_gives_a_model_for_each(
    classifier: NetworkClassifier, blobs: DataFrame
) -> None:
    maps = [{classifier.epochs: 1}, {classifier.epochs: 2}]
    models = classifier.fit(blobs, maps)
    assert [len(m.summary.epochs) for m in models] == [1, 2]
    assert [m.getEpochs() for m in models] == [1, 2]
    assert classifier.getEpochs() == 5


def test_training_starts_from_the_weights_of_the_network(
    model: NetworkClassificationModel, blobs: DataFrame, network: Network
) -> None:
    start = network.with_weights(model.weights)
    again = NetworkClassifier(network=start, epochs=1, learningRate=1e-6, seed=3).fit(blobs)
    assert again.summary.losses[0] < 2 * model.summary.losses[-1]
    np.testing.assert_allclose(again.weights["0.weight"], model.weights["0.weight"], atol=1e-4)
    wrong = network.with_weights({**model.weights, "0.bias": np.zeros(3)})
    with pytest.raises(Exception, match=r"0\.bias"):
        NetworkClassifier(network=wrong).fit(blobs)


def test_weights_do_not_pass_through_py4j_which_decodes_byte_by_byte(
    model: NetworkClassificationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Py4J decoded an array of bytes")

    monkeypatch.setattr(py4j.protocol, "decode_bytearray", refuse)
    assert model.weights["0.weight"].shape == (16, 2)


def test_the_network_of_a_model_is_read_from_the_jvm_once(
    model: NetworkClassificationModel, network: Network, tmp_path: Path
) -> None:
    assert model.network is model.network
    assert model.copy().network == network
    model.write().overwrite().save(str(tmp_path / "model"))
    assert NetworkClassificationModel.load(str(tmp_path / "model")).network == network


def test_several_columns_and_thresholds_set_on_the_model(
    spark: SparkSession, model: NetworkClassificationModel, blobs: DataFrame
) -> None:
    values = vector_to_array("features")
    split = blobs.select("label", values[0].alias("x"), values[1].alias("y"))
    both = model.copy()
    both.setFeaturesCols(["x", "y"]).setThresholds([0.0, 1.0, 1.0])
    assert {row.prediction for row in both.transform(split).collect()} == {0.0}
    assert not model.isSet(model.thresholds)


@pytest.mark.parametrize("module", [firesteel.classification, firesteel.network])
def test_the_examples_of_the_documentation_run(
    spark: SparkSession, module: object, tmp_path: Path
) -> None:
    done = doctest.testmod(
        module, extraglobs={"spark": spark, "folder": str(tmp_path)}, optionflags=doctest.ELLIPSIS
    )
    assert done.attempted > 0 and done.failed == 0
