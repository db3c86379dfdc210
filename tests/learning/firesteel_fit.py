"""Fits at default settings, over real workers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import firesteel
import pyarrow as pa
import pyarrow.parquet as pq
from firesteel.classification import NetworkClassifier
from firesteel.regression import NetworkRegressor
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from .tasks import Rows, Task

FILES = 16


def session(slots: int) -> SparkSession:
    """Spark with this many slots."""
    settings = {
        "spark.driver.memory": "3g",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    builder = firesteel.session().master(f"local[{slots}]").appName("What defaults learn")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def frame(spark: SparkSession, rows: Rows) -> DataFrame:
    """Rows in Parquet files, cached."""
    features, labels = rows
    table = pa.table(
        {
            "features": pa.array(list(features), type=pa.list_(pa.float32())),
            "label": pa.array(labels.astype("float64")),
        }
    )
    folder = Path(tempfile.mkdtemp(prefix="firesteel-learning-"))
    size = -(-len(labels) // FILES)
    for index in range(FILES):
        pq.write_table(table.slice(index * size, size), folder / f"{index:02d}.parquet")
    cached = spark.read.parquet(str(folder)).cache()
    cached.count()
    return cached


def estimator(task: Task, seed: int, **settings: Any) -> NetworkClassifier | NetworkRegressor:
    """The estimator of a task: the settings of the PyTorch loop, and defaults otherwise."""
    kind = NetworkClassifier if task.classes else NetworkRegressor
    options: dict[str, Any] = {"momentum": task.momentum} if task.optimizer == "sgd" else {}
    return kind(
        network=task.network(),
        optimizer=task.optimizer,
        learningRate=task.rate,
        batchSize=task.batch,
        epochs=task.epochs,
        seed=seed,
        **options,
        **settings,
    )


def score(task: Task, model: Any, held: DataFrame) -> float:
    """Accuracy in percent, or the mean squared error of a regression."""
    scored = model.transform(held)
    if task.classes:
        right = F.avg((F.col("label") == F.col("prediction")).cast("double"))
        return 100 * float(scored.select(right).first()[0])
    return float(scored.select(F.avg(F.pow(F.col("label") - F.col("prediction"), 2))).first()[0])
