"""Spark with the plugin, and the classifier through Py4J."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tests.bench.where import BUILD, JARS

CORES = 2


def start() -> SparkSession:
    """A session on `local[2]`."""
    missing = [str(jar) for jar in JARS if not jar.exists()]
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}; run the benchmarks through `make bench`")
    for name in ("LIBTORCH", "LD_LIBRARY_PATH", "SPARK_HOME"):
        os.environ.pop(name, None)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.jars": ",".join(map(str, JARS)),
        "spark.plugins": "firesteel.plugin.FiresteelPlugin",
        "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
        "spark.driver.memory": "4g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    builder = SparkSession.builder.master(f"local[{CORES}]").appName("firesteel benchmarks")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def cached(df: DataFrame) -> DataFrame:
    """The DataFrame in Spark's default cache, filled."""
    df = df.repartition(4 * CORES).cache()
    df.count()
    return df


def discard(df: DataFrame) -> None:
    """Computes all rows and writes none."""
    df.write.format("noop").mode("overwrite").save()


def classifier(spark: SparkSession, epochs: int) -> Any:
    """The MLP 784-500-300-10 with SGD on two workers."""
    layers: list[dict[str, Any]] = []
    previous = "features"
    for outputs in (500, 300, 10):
        name = str(len(layers))
        arguments = {"out_features": outputs}
        layers.append({"name": name, "op": "Linear", "inputs": [previous], "args": arguments})
        layers.append({"name": f"{name}r", "op": "ReLU", "inputs": [name], "args": {}})
        previous = f"{name}r"
    layers.pop()
    network = {
        "format": "firesteel.network/1",
        "inputs": ["features"],
        "nodes": layers,
        "outputs": [layers[-1]["name"]],
    }
    firesteel = spark._jvm.firesteel
    estimator = firesteel.classification.NetworkClassifier()
    estimator.setNetwork(firesteel.network.Network.fromJson(json.dumps(network)))
    estimator.setStrategy("adag")
    estimator.setNumWorkers(CORES)
    estimator.setOptimizer("sgd")
    estimator.setLearningRate(0.05)
    estimator.setBatchSize(128)
    estimator.setEpochs(epochs)
    estimator.setSeed(1)
    estimator.setShowProgress(False)
    return estimator


def read(spark: SparkSession, folder: Path) -> DataFrame:
    """MNIST."""
    return spark.read.parquet(str(folder))
