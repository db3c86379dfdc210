"""Modules of PyTorch, trained by the engine on Spark and given back to PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision
from firesteel import TorchScriptNetwork, from_torch
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from pyspark.ml import Pipeline
from pyspark.ml.feature import StringIndexer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from torch import Tensor, nn

ROWS = 48


class Encoder(nn.Module):
    """A transformer's encoder over token ids."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.register_buffer("positions", torch.arange(length))
        self.places = nn.Embedding(length, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, ids: Tensor) -> Tensor:
        values = self.layers(self.words(ids) + self.places(self.positions))
        return self.head(values.mean(1))


class WideAndDeep(nn.Module):
    """Two indexed categories and two numbers in one vector: a linear part beside a deep one."""

    def __init__(self, sizes: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Embedding(sizes[0], 4)
        self.second = nn.Embedding(sizes[1], 4)
        self.wide = nn.Linear(2, 1)
        self.deep = nn.Sequential(
            nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        first = self.first(features[:, 0].long())
        second = self.second(features[:, 1].long())
        numbers = features[:, 2:]
        return self.wide(numbers) + self.deep(torch.cat((first, second, numbers), 1))


def classifier(network: TorchScriptNetwork, epochs: int) -> NetworkClassifier:
    return NetworkClassifier(
        network=network, epochs=epochs, batchSize=8, numWorkers=2, learningRate=0.01, seed=5
    )


def check(
    model: NetworkClassificationModel,
    data: DataFrame,
    kind: type[np.generic],
    folder: Path,
    unwritable: str | None = None,
) -> None:
    """The module, its file and ONNX's predict what Spark does; or ONNX lacks an operator."""
    predicted = model.transform(data).select("features", "rawPrediction").toPandas()
    features = np.stack([np.asarray(list(row), dtype=kind) for row in predicted["features"]])
    shape = model.network.input_shapes.get(model.network.inputs[0])
    if shape is not None:
        features = features.reshape(len(features), *shape)
    found = np.stack([row.toArray() for row in predicted["rawPrediction"]])

    def same(given: np.ndarray) -> None:
        # The raw prediction of a single logit has one number for each of the two classes.
        expected = np.concatenate((-given, given), 1) if given.shape[1] == 1 else given
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)

    with torch.no_grad():
        same(model.to_torch()(torch.from_numpy(features)).numpy())
        model.export_torchscript(folder / "module.pt")
        same(torch.jit.load(folder / "module.pt")(torch.from_numpy(features)).numpy())
    if unwritable is not None:
        with pytest.raises(ValueError, match=unwritable):
            model.export_onnx(folder / "module.onnx")
        return
    model.export_onnx(folder / "module.onnx")
    session = onnxruntime.InferenceSession(folder / "module.onnx")
    same(session.run(None, {session.get_inputs()[0].name: features})[0])


def test_resnet18_of_torchvision_trains_on_small_images(
    spark: SparkSession, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    module = torchvision.models.resnet18(num_classes=3)
    network = from_torch(module, torch.zeros(2, 3, 32, 32))
    generator = np.random.default_rng(2)
    rows = []
    for index in range(24):
        bright = index % 3 == np.arange(3072) % 3
        rows.append(((generator.uniform(0, 0.5, 3072) + 0.5 * bright).tolist(), float(index % 3)))
    data = spark.createDataFrame(rows, "features array<float>, label double").repartition(2).cache()
    model = classifier(network, epochs=1).fit(data)
    before = module.state_dict()
    assert model.weights.keys() == before.keys()
    assert model.weights["bn1.num_batches_tracked"] > 0
    assert not np.array_equal(model.weights["conv1.weight"], before["conv1.weight"].numpy())
    assert not np.array_equal(model.weights["bn1.running_mean"], before["bn1.running_mean"].numpy())
    check(model, data, np.float32, tmp_path)


def test_a_transformer_trains_on_token_ids(spark: SparkSession, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = from_torch(Encoder(6), torch.zeros(2, 6, dtype=torch.int64))
    generator = np.random.default_rng(3)
    rows = []
    for index in range(2 * ROWS):
        ids = generator.integers(3, 20, 6)
        ids[generator.integers(6)] = index % 3
        rows.append((ids.tolist(), float(index % 3)))
    data = spark.createDataFrame(rows, "features array<int>, label double").repartition(2).cache()
    model = classifier(network, epochs=8).fit(data)
    losses = model.summary.losses
    assert losses[-1] < 0.7 * losses[0], losses
    # PyTorch's own exporter has no counterpart of the test in a scripted encoder's fast path.
    check(model, data, np.int64, tmp_path, unwritable="as ONNX: .*is_autocast_enabled")


def test_a_wide_and_deep_net_trains_on_indexed_categories(
    spark: SparkSession, tmp_path: Path
) -> None:
    generator = np.random.default_rng(4)
    rows = []
    for index in range(2 * ROWS):
        x, y = generator.normal(size=2)
        city, kind = f"city{index % 5}", f"kind{index % 3}"
        late = float(x + (index % 5 - 2) + (index % 3) > 0.5)
        rows.append((city, kind, float(x), float(y), late))
    raw = spark.createDataFrame(rows, "city string, kind string, x double, y double, label double")
    preparation = Pipeline(
        stages=[
            StringIndexer(inputCols=["city", "kind"], outputCols=["cityId", "kindId"]),
            VectorAssembler(inputCols=["cityId", "kindId", "x", "y"], outputCol="features"),
        ]
    )
    data = preparation.fit(raw).transform(raw).select("features", "label").repartition(2).cache()
    torch.manual_seed(1)
    network = from_torch(WideAndDeep((5, 3)), input_types=["float32"])
    model = classifier(network, epochs=10).fit(data)
    losses = model.summary.losses
    assert losses[-1] < 0.7 * losses[0], losses
    check(model, data, np.float32, tmp_path)

    loaded_from = tmp_path / "model"
    model.save(str(loaded_from))
    loaded = NetworkClassificationModel.load(str(loaded_from))
    assert loaded.network == network
    assert all(np.array_equal(loaded.weights[name], w) for name, w in model.weights.items())


def test_what_a_module_does_not_take_is_told_before_any_job(
    spark: SparkSession, blobs: DataFrame
) -> None:
    with pytest.raises(Exception, match="does not take 2 rows of zeros, 'input' \\[2, 2\\]"):
        classifier(from_torch(nn.Linear(3, 3)), epochs=1).fit(blobs)
