"""One Spark in this process for all suites, and models that several suites use."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import firesteel
import punchcard_server
import pytest
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from firesteel.layers import Linear, ReLU, Softmax
from firesteel.punchcard import Client
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.shuffle.partitions": "2",
        "spark.local.dir": str(folder / "local"),
        "spark.firesteel.progress": "false",
        "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
    }
    builder = firesteel.session().master("local[2]").appName("firesteel tests")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def blobs(spark: SparkSession) -> DataFrame:
    """Three clouds of 100 points in the plane: `features`, `label`, `held` for every fifth."""
    source = random.Random(7)
    rows = []
    for index in range(300):
        angle = 2 * math.pi * (index % 3) / 3
        x, y = (3 * f(angle) + source.gauss(0, 0.6) for f in (math.cos, math.sin))
        rows.append((Vectors.dense(x, y), float(index % 3), index % 5 == 0))
    frame = spark.createDataFrame(rows, ["features", "label", "held"]).repartition(2).cache()
    assert frame.count() == 300
    return frame


@pytest.fixture(scope="session")
def network() -> firesteel.Network:
    return firesteel.Network.sequential(Linear(16), ReLU(), Linear(3), Softmax())


@pytest.fixture(scope="session")
def classifier(spark: SparkSession, network: firesteel.Network) -> NetworkClassifier:
    return NetworkClassifier(
        network=network, epochs=5, batchSize=16, learningRate=0.02, seed=3, numWorkers=2
    )


@pytest.fixture(scope="session")
def model(classifier: NetworkClassifier, blobs: DataFrame) -> NetworkClassificationModel:
    """A model that is trained once, with validation rows."""
    return classifier.copy({classifier.validationIndicatorCol: "held"}).fit(blobs)


@pytest.fixture
def server() -> Iterator[punchcard_server.Server]:
    """A Punchcard server that fails as a test asks it to."""
    with punchcard_server.serving() as found:
        yield found


@pytest.fixture
def client(server: punchcard_server.Server) -> Iterator[Client]:
    with Client(server.address, punchcard_server.TOKEN, retry=punchcard_server.FAST) as found:
        yield found
