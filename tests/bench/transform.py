"""A model's `transform` beside the same network in a `pandas_udf` with torch."""

import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from torch import nn

from tests.bench import session
from tests.bench.columns import arrays, matrix
from tests.bench.rounds import medians, report
from tests.bench.where import TEST, TRAIN


def weights(model: Any) -> dict[str, np.ndarray]:
    """The tensors of a model, read from the safetensors file that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.write().overwrite().save(folder)
        content = next(Path(folder).rglob("*.safetensors")).read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    tensors = {}
    for name, entry in json.loads(content[8 : 8 + length]).items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(content[start:end], "<f4").reshape(entry["shape"])
    return tensors


def udf(spark: SparkSession, model: Any) -> Any:
    """The peer: the same network by torch, one thread for each task."""
    shared = spark.sparkContext.broadcast(weights(model))

    @f.pandas_udf("double")
    def predict(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        torch.set_num_threads(1)
        tensors = shared.value
        layers: list[nn.Module] = []
        for name in sorted({name.rpartition(".")[0] for name in tensors}):
            weight = torch.tensor(tensors[f"{name}.weight"])
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            linear.weight.data, linear.bias.data = weight, torch.tensor(tensors[f"{name}.bias"])
            layers += [linear, nn.ReLU()]
        network = nn.Sequential(*layers[:-1])
        with torch.inference_mode():
            for batch in batches:
                logits = network(torch.from_numpy(matrix(batch)))
                yield pd.Series(logits.argmax(1).to(torch.float64).numpy())

    return predict


def measure(spark: SparkSession, name: str, train: DataFrame, test: DataFrame) -> None:
    """Both ways for a DataFrame of features and a label."""
    estimator = session.classifier(spark, epochs=1)
    train = session.cached(train)
    model = estimator.fit(train._jdf)
    predict = udf(spark, model)

    def ours(df: DataFrame) -> DataFrame:
        return DataFrame(model.transform(df._jdf), spark)

    same = ours(test).withColumn("peer", predict("features"))
    wrong = same.where("prediction != peer").count()
    if wrong > 5:
        raise SystemExit(f"{wrong} predictions of {test.count()} differ from torch's")
    rows = train.count()
    seconds = medians(
        lambda: session.discard(ours(train).select("prediction")),
        lambda: session.discard(train.select(predict("features"))),
    )
    report(name, rows / seconds[0], rows / seconds[1], "3")
    train.unpersist(blocking=True)


def main() -> None:
    spark = session.start()
    train, test = session.read(spark, TRAIN), session.read(spark, TEST)
    measure(spark, "transform-array", arrays(train), arrays(test))
    measure(spark, "transform-binary", train, test)


if __name__ == "__main__":
    main()
