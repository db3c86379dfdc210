"""PyTorch modules, trained by the engine on Spark and returned to PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision
from closeness import assert_close
from firesteel import TorchScriptNetwork, from_torch
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from firesteel.estimator import NetworkEstimator
from firesteel.torch_branches import inline_static_branches
from firesteel.torch_export import export_onnx
from pyspark.ml import Pipeline
from pyspark.ml.feature import StringIndexer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from torch import Tensor, nn

ROWS = 48


class Encoder(nn.Module):
    """A transformer's encoder over token ids."""

    def __init__(
        self, length: int, masked: bool = False, nested: bool = False, **options: Any
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.register_buffer("positions", torch.arange(length))
        self.places = nn.Embedding(length, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, **options)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested)
        self.head = nn.Linear(16, 3)
        self.masked = masked

    def forward(self, ids: Tensor) -> Tensor:
        values = self.words(ids) + self.places(self.positions)
        if self.masked:
            values = self.layers(values, src_key_padding_mask=ids == 0)
        else:
            values = self.layers(values)
        return self.head(values.mean(1))


class Choosing(nn.Module):
    """A transformer layer after a branch that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, values: Tensor) -> Tensor:
        if bool(values.sum() > 0):
            values = self.first(values)
        return self.layer(values.unsqueeze(1)).squeeze(1)


class Behind(nn.Module):
    """A transformer layer after other code."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, values: Tensor) -> Tensor:
        return self.layer(self.before(values).unsqueeze(1)).squeeze(1)

    def before(self, values: Tensor) -> Tensor:
        return values


class Empty(Behind):
    """Counts the elements that a mask keeps."""

    def before(self, values: Tensor) -> Tensor:
        kept = values[values != 0]
        if kept.numel() == 0:
            values = values - 1
        return values


class Filled(Behind):
    """A list that grows in a branch that depends on values."""

    def before(self, values: Tensor) -> Tensor:
        found = [0]
        if bool(values.sum() > 0):
            found.append(1)
        if len(found) == 1:
            values = values - 1
        return values


class Cut(Behind):
    """A branch that depends on values and decides a size."""

    def before(self, values: Tensor) -> Tensor:
        part = values
        if bool(values.sum() > 0):
            part = values[:, :2]
        if part.size(1) == 4:
            values = values - 1
        return values


class Many(Behind):
    """A branch for more than 8 rows."""

    def before(self, values: Tensor) -> Tensor:
        if values.size(0) > 8:
            values = values - 1
        return values


class Rounded(Behind):
    """A branch for 10, 20 and so on rows."""

    def before(self, values: Tensor) -> Tensor:
        if values.size(0) // 10 > 0 and len(values.shape[1:]) == 1:
            values = values - 1
        return values


class Rest(Behind):
    """A branch for the rows after the eighth."""

    def before(self, values: Tensor) -> Tensor:
        if values[8:].size(0) > 0:
            values = values - 1
        return values


class Cast(Behind):
    """An autocast check beside those of the layer."""

    def before(self, values: Tensor) -> Tensor:
        if torch.is_autocast_enabled():
            values = values - 1
        return values


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
        return self.of(features[:, :2].long(), features[:, 2:])

    def of(self, categories: Tensor, numbers: Tensor) -> Tensor:
        first, second = self.first(categories[:, 0]), self.second(categories[:, 1])
        return self.wide(numbers) + self.deep(torch.cat((first, second, numbers), 1))


class WideAndDeepOfTwo(WideAndDeep):
    """The same with separate inputs for categories and numbers, and a probability as output."""

    def forward(self, categories: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        logit = self.of(categories, numbers)
        return logit, logit.sigmoid()


BEHIND = (Empty, Cut, Many, Rounded, Rest, Cast)


def classifier(network: TorchScriptNetwork, epochs: int) -> NetworkClassifier:
    return NetworkClassifier(
        network=network, epochs=epochs, batchSize=8, numWorkers=2, learningRate=0.01, seed=5
    )


def check(
    model: NetworkClassificationModel,
    data: DataFrame,
    kind: type[np.generic],
    folder: Path,
) -> None:
    """Checks that the module, its file and the ONNX file predict like Spark."""
    predicted = model.transform(data).select("features", "rawPrediction").toPandas()
    features = np.stack([np.asarray(list(row), dtype=kind) for row in predicted["features"]])
    shape = model.network.input_shapes.get(model.network.inputs[0])
    if shape is not None:
        features = features.reshape(len(features), *shape)
    found = np.stack([row.toArray() for row in predicted["rawPrediction"]])

    def same(given: np.ndarray) -> None:
        # The raw prediction of a single logit has one number for each of the two classes.
        expected = np.concatenate((-given, given), 1) if given.shape[1] == 1 else given
        assert_close(found, expected)

    with torch.no_grad():
        same(model.to_torch()(torch.from_numpy(features)).numpy())
        model.export_torchscript(folder / "module.pt")
        same(torch.jit.load(folder / "module.pt")(torch.from_numpy(features)).numpy())
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
    model = classifier(network, epochs=16).fit(data)
    losses = model.summary.losses
    assert losses[-1] < 0.7 * losses[0], losses
    check(model, data, np.int64, tmp_path)


@pytest.mark.parametrize(
    ("module", "rows"),
    [
        (Encoder(6), torch.randint(3, 20, (7, 6))),
        (Encoder(6, masked=True, norm_first=True), torch.randint(0, 3, (7, 6))),
        (Encoder(6, activation="gelu"), torch.randint(0, 20, (1, 6))),
        (Encoder(6, nested=True, masked=True), torch.randint(0, 3, (7, 6))),
        (Choosing(), torch.full((3, 4), 0.5)),
        (Choosing(), torch.full((3, 4), -0.5)),
        *((module(), torch.rand(12, 4) + 0.1) for module in BEHIND),
    ],
    ids=[
        "plain",
        "masked",
        "one row",
        "nested",
        "above",
        "below",
        *(each.__name__ for each in BEHIND),
    ],
)
def test_a_scripted_transformer_is_written_as_onnx_for_any_rows(
    module: nn.Module, rows: Tensor, tmp_path: Path
) -> None:
    scripted = torch.jit.script(module).eval()
    export_onnx(scripted, tmp_path / "module.onnx", {"x": torch.zeros_like(rows[:1])}, ["y"])
    session = onnxruntime.InferenceSession(tmp_path / "module.onnx")
    (found,) = session.run(None, {"x": rows.numpy()})
    with torch.no_grad():
        assert_close(found, scripted(rows).numpy())


def test_how_long_a_list_is_stays_a_question_where_values_decide_what_it_holds() -> None:
    scripted = torch.jit.script(Filled()).eval()
    function = inline_static_branches(scripted, [torch.zeros(1, 4)])
    for rows in (torch.ones(2, 4), -torch.ones(2, 4)):
        with torch.no_grad():
            torch.testing.assert_close(function(rows), scripted(rows))


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
    model = classifier(network, epochs=40).fit(data)
    losses = model.summary.losses
    assert losses[-1] < 0.7 * losses[0], losses
    check(model, data, np.float32, tmp_path)

    loaded_from = tmp_path / "model"
    model.save(str(loaded_from))
    loaded = NetworkClassificationModel.load(str(loaded_from))
    assert loaded.network == network
    assert all(np.array_equal(loaded.weights[name], w) for name, w in model.weights.items())


def test_a_wide_and_deep_net_of_two_inputs_trains_end_to_end(
    spark: SparkSession, tmp_path: Path
) -> None:
    data = (
        spark.range(0, 6 * ROWS, 1, 2)
        .selectExpr("array(id % 5, id % 3) categories", "id % 7 / 3 - 1 x", "id % 11 / 5 - 1 y")
        .selectExpr("categories", "array(x, y) numbers", "x + categories[0] - 2 + categories[1] s")
        .selectExpr("categories", "numbers", "double(s > 0.5) late")
        .cache()
    )
    torch.manual_seed(1)
    network = from_torch(
        WideAndDeepOfTwo((5, 3)), input_types=["int64", "float32"], output_names=["logit", "chance"]
    )
    estimator = NetworkEstimator(
        network=network,
        featuresCols=["categories", "numbers"],
        labelCols=["late", "late"],
        losses=["binary_cross_entropy_with_logits", "mse_loss"],
        lossWeights=[1.0, 0.1],
        outputCols=["logit", "chance"],
        validationFraction=0.2,
        batchSize=8,
        strategy="single",
        learningRate=0.02,
        optimizer="adam",
        epochs=12,
        seed=5,
    )
    model = estimator.fit(data)
    assert model.summary.validationMetric("logit_accuracy")[-1] > 0.85
    rows = model.transform(data).toPandas()
    assert np.mean((rows["chance"] > 0.5) == (rows["late"] > 0.5)) > 0.9
    given = [
        np.stack([np.asarray(row, dtype=kind) for row in rows[name]])
        for name, kind in (("categories", np.int64), ("numbers", np.float32))
    ]
    model.export_onnx(tmp_path / "module.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "module.onnx")
    of_onnx = session.run(None, dict(zip(("categories", "numbers"), given, strict=True)))
    with torch.no_grad():
        of_torch = model.to_torch()(*(torch.from_numpy(values) for values in given))
    for name, onnx, module in zip(("logit", "chance"), of_onnx, of_torch, strict=True):
        for found in (onnx, module.numpy()):
            assert_close(found[:, 0], rows[name])


def test_what_a_module_does_not_take_is_told_before_any_job(
    spark: SparkSession, blobs: DataFrame
) -> None:
    with pytest.raises(Exception, match="does not take 2 rows of zeros, 'input' \\[2, 2\\]"):
        classifier(from_torch(nn.Linear(3, 3)), epochs=1).fit(blobs)
