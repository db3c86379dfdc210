"""Handwritten digits by a dist-keras script: only the imports are Firesteel's.

    python examples/distkeras_mnist.py --rows 12000 --epochs 3

Prints for each trainer the accuracy on test rows, the seconds and the parameter server's updates.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
import firesteel
from firesteel.distkeras.evaluators import AccuracyEvaluator
from firesteel.distkeras.predictors import ModelPredictor
from firesteel.distkeras.trainers import ADAG, AEASGD, DOWNPOUR, SingleTrainer, Trainer
from firesteel.distkeras.transformers import (
    LabelIndexTransformer,
    MinMaxTransformer,
    OneHotTransformer,
    ReshapeTransformer,
)
from firesteel.distkeras.utils import precache, shuffle
from keras.layers import Activation, Dense, Flatten, Input
from keras.models import Sequential
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession

DATA = Path(__file__).resolve().parent / "data"
CLASSES = 10
WORKERS = 2


def read(spark: SparkSession, part: str, rows: int) -> DataFrame:
    """Reads digits as vectors of 784 pixels from 0 to 255, and their labels."""
    digits = spark.read.parquet(str(DATA / f"mnist-{part}.parquet")).limit(rows)
    pixels = [(Vectors.dense(list(row.features)), row.label) for row in digits.toLocalIterator()]
    return spark.createDataFrame(pixels, ["features", "label"])


def prepare(dataset: DataFrame) -> DataFrame:
    """Adds the pixels from 0 to 1 as an image, and the label as one-hot list."""
    dataset = OneHotTransformer(CLASSES, input_col="label", output_col="label_encoded").transform(
        dataset
    )
    scaled = MinMaxTransformer(
        n_min=0.0,
        n_max=1.0,
        o_min=0.0,
        o_max=255.0,
        input_col="features",
        output_col="features_normalized",
    )
    image = ReshapeTransformer("features_normalized", "matrix", (28, 28, 1))
    return image.transform(scaled.transform(dataset)).select(
        "features_normalized", "matrix", "label", "label_encoded"
    )


def network() -> Sequential:
    """Builds a perceptron over images."""
    model = Sequential()
    model.add(Input((28, 28, 1)))
    model.add(Flatten())
    model.add(Dense(128))
    model.add(Activation("relu"))
    model.add(Dense(CLASSES))
    model.add(Activation("softmax"))
    return model


def evaluate_accuracy(model: Sequential, test_set: DataFrame, features: str) -> float:
    """Returns the accuracy on the test rows."""
    evaluator = AccuracyEvaluator(prediction_col="prediction_index", label_col="label")
    predicted = ModelPredictor(keras_model=model, features_col=features).predict(test_set)
    return evaluator.evaluate(LabelIndexTransformer(output_dim=CLASSES).transform(predicted))


def trainers(model: Sequential, epochs: int) -> list[tuple[Trainer, str]]:
    """The trainers to compare, and their features."""
    common = {
        "worker_optimizer": "adam",
        "loss": "categorical_crossentropy",
        "label_col": "label_encoded",
        "num_epoch": epochs,
        "batch_size": 16,
    }
    shared = {**common, "num_workers": WORKERS, "features_col": "features_normalized"}
    return [
        (SingleTrainer(model, features_col="matrix", **common), "matrix"),
        (DOWNPOUR(model, communication_window=5, **shared), "features_normalized"),
        (ADAG(model, communication_window=5, **shared), "features_normalized"),
        (AEASGD(model, communication_window=8, **shared), "features_normalized"),
    ]


def main() -> None:
    """Trains with each trainer and prints its accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=12_000, help="rows to train on")
    parser.add_argument("--test-rows", type=int, default=2_000, help="rows to test on")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the rows")
    options = parser.parse_args()

    spark = firesteel.session().master(f"local[{WORKERS}]").appName("dist-keras").getOrCreate()
    training_set = precache(shuffle(prepare(read(spark, "train", options.rows))), WORKERS)
    test_set = precache(prepare(read(spark, "test", options.test_rows)), WORKERS)
    for trainer, features in trainers(network(), options.epochs):
        trained = trainer.train(training_set)
        accuracy = evaluate_accuracy(trained, test_set, features)
        server = getattr(trainer, "parameter_server", None)
        print(
            f"{type(trainer).__name__}: accuracy {accuracy:.4f}, "
            f"{trainer.get_training_time():.1f} s, {server.num_updates if server else 0} updates"
        )
    spark.stop()


if __name__ == "__main__":
    main()
