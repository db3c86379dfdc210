"""Trained models as PyTorch modules and as files, beside `transform`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from closeness import assert_close
from conftest import ROOT
from firesteel import Network
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from firesteel.layers import (
    LSTM,
    BatchNorm2d,
    Conv2d,
    Embedding,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
)
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession

ROWS = 64


def predictions(
    model: NetworkClassificationModel, inputs: Sequence[np.ndarray], folder: Path, **options: Any
) -> list[np.ndarray]:
    """The outputs of the module, the TorchScript file and the ONNX file for the rows."""
    model.export_torchscript(folder / "model.pt", **options)
    model.export_onnx(folder / "model.onnx", **options)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    names = [value.name for value in session.get_inputs()]
    (answer,) = session.run(None, dict(zip(names, inputs, strict=True)))
    module, loaded = model.to_torch(**options), torch.jit.load(folder / "model.pt")
    tensors = [torch.tensor(values) for values in inputs]
    with torch.no_grad():
        return [module(*tensors).numpy(), loaded(*tensors).numpy(), answer]


def column(frame: DataFrame, name: str) -> np.ndarray:
    """A column of vectors or arrays."""
    kind = frame.schema[name].dataType.typeName()
    values = vector_to_array(name) if kind == "vectorudt" else frame[name]
    return np.array([row[0] for row in frame.select(values).collect()])


def assert_all_close(given: list[np.ndarray], expected: np.ndarray) -> None:
    for values in given:
        assert_close(values, expected)


def test_dense_layers_predict_as_transform_does(
    model: NetworkClassificationModel, blobs: DataFrame, tmp_path: Path
) -> None:
    frame = model.transform(blobs).limit(ROWS).cache()
    features = column(frame, "features").astype("float32")
    assert_all_close(predictions(model, [features], tmp_path), column(frame, "probability"))
    logits = predictions(model, [features], tmp_path, logits=True)
    assert_all_close(logits, column(frame, "rawPrediction"))
    assert model.to_torch().state_dict().keys() == model.weights.keys()


def test_what_the_documentation_shows_runs(
    model: NetworkClassificationModel, blobs: DataFrame, tmp_path: Path
) -> None:
    page = (ROOT / "docs/exporting.md").read_text()
    snippets = dict(re.findall(r"<!-- snippet: (\w+) -->\n```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {"model": model}
    exec(snippets["export"].replace("/tmp/", f"{tmp_path}/"), names)
    features = torch.tensor(column(blobs.limit(3), "features"), dtype=torch.float32)
    loaded = torch.jit.load(tmp_path / "digits.pt")
    torch.testing.assert_close(loaded(features), names["module"](features))
    assert (tmp_path / "digits.onnx").exists()
    exec(snippets["import"], names)
    assert names["network"].inputs == ("input",)


def test_a_convolutional_network_on_images_as_bytes_predicts_as_transform_does(
    spark: SparkSession, tmp_path: Path
) -> None:
    digits = spark.read.parquet(str(ROOT / "examples/data/mnist-test.parquet")).limit(300).cache()
    network = Network.sequential(
        Conv2d(4, 3, padding="same"),
        BatchNorm2d(),
        ReLU(),
        MaxPool2d(4),
        Flatten(),
        Linear(10),
        Softmax(),
    ).with_input_shape(1, 28, 28)
    model = NetworkClassifier(network=network, epochs=1, numWorkers=1, seed=1).fit(digits)
    frame = model.transform(digits).limit(ROWS).cache()
    pixels = np.stack([np.frombuffer(row.features, np.uint8) for row in frame.collect()])
    images = pixels.reshape(-1, 1, 28, 28).astype("float32")
    expected = column(frame, "probability")
    assert_all_close(predictions(model, [images / 255], tmp_path), expected)
    assert_all_close(predictions(model, [images], tmp_path, scale=1 / 255), expected)


def test_a_recurrent_network_on_token_ids_predicts_as_transform_does(
    spark: SparkSession, tmp_path: Path
) -> None:
    generator = np.random.default_rng(5)
    ids = generator.integers(0, 20, (200, 7))
    rows = [(row.tolist(), float((row < 10).sum() > 3)) for row in ids]
    frame = spark.createDataFrame(rows, "features array<int>, label double").coalesce(1)
    network = Network.sequential(
        Embedding(20, 4), LSTM(5, bidirectional=True, output="last"), Linear(1), Sigmoid()
    )
    model = NetworkClassifier(network=network, epochs=2, numWorkers=1, seed=1).fit(frame)
    answered = model.transform(frame).limit(ROWS).cache()
    tokens = column(answered, "features").astype("int64")
    second = column(answered, "probability")[:, 1:]
    assert_all_close(predictions(model, [tokens], tmp_path), second)


@pytest.mark.parametrize("ending", [[], [Softmax()]], ids=["logits", "softmax"])
def test_an_ensemble_predicts_as_transform_does(
    blobs: DataFrame, tmp_path: Path, ending: list[Softmax]
) -> None:
    network = Network.sequential(Linear(3), *ending)
    classifier = NetworkClassifier(
        network=network, strategy="ensemble", numWorkers=2, epochs=1, batchSize=16, seed=1
    )
    model = classifier.fit(blobs)
    assert {name.split(".")[1] for name in model.weights} == {"0", "1"}
    frame = model.transform(blobs).limit(ROWS).cache()
    features = column(frame, "features").astype("float32")
    wanted = column(frame, "probability" if ending else "rawPrediction")
    assert_all_close(predictions(model, [features], tmp_path), wanted)
