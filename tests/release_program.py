"""A fit, its predictions and a saved model: release_program.py FOLDER; prints JSON."""

from __future__ import annotations

import json
import platform
import sys

import firesteel
import pyspark
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from firesteel.layers import Linear, ReLU, Softmax
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession

spark = SparkSession.builder.getOrCreate()
spark.sparkContext.setLogLevel("WARN")
numbers = spark.range(0, 400, 1, 2).selectExpr("id % 20 - 9.5 x", "id div 20 - 9.5 y", "id")
quadrants = numbers.selectExpr("x", "y", "double(x > 0) + 2 * double(y > 0) label")
rows = VectorAssembler(inputCols=["x", "y"], outputCol="features").transform(quadrants).cache()


def predictions(frame: DataFrame) -> list[float]:
    """The predicted classes, in the order of the rows."""
    return [row.prediction for row in frame.orderBy("x", "y").collect()]


network = firesteel.Network.sequential(Linear(16), ReLU(), Linear(4), Softmax())
classifier = NetworkClassifier(
    network=network, epochs=10, batchSize=16, learningRate=0.02, seed=1, numWorkers=2
)
model = classifier.fit(rows)
scored = model.transform(rows)
model.write().overwrite().save(sys.argv[1])
loaded = NetworkClassificationModel.load(sys.argv[1])
evaluator = MulticlassClassificationEvaluator(metricName="accuracy")
result = {
    "spark": spark.version,
    "pyspark": pyspark.__version__,
    "python": platform.python_version(),
    "java": spark.sparkContext._jvm.System.getProperty("java.version"),
    "workers": model.summary.workers,
    "history": [row.epoch for row in model.summary.history.collect()],
    "accuracy": evaluator.evaluate(scored),
    "same": predictions(loaded.transform(rows)) == predictions(scored),
}
spark.stop()
print("RESULT " + json.dumps(result))
