"""A client of Spark Connect: connect_client.py ADDRESS FOLDER; prints JSON at the end."""

from __future__ import annotations

import json
import math
import os
import random
import sys
from types import TracebackType

import numpy as np
from firesteel import Network, Node, load_network, load_weights
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from firesteel.estimator import NetworkEstimator, NetworkModel
from firesteel.layers import Concatenate, Linear, ReLU, Softmax
from firesteel.regression import NetworkRegressionModel, NetworkRegressor
from pyspark import SparkContext
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import MulticlassClassificationEvaluator, RegressionEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.tuning import ParamGridBuilder, TrainValidationSplit
from pyspark.sql import DataFrame, SparkSession

ADDRESS, FOLDER = sys.argv[1:]


def leave(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ends the process, which the client's threads would keep alive."""
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)


sys.excepthook = leave
spark = SparkSession.builder.remote(ADDRESS).getOrCreate()

source = random.Random(7)
rows = []
for index in range(300):
    angle = 2 * math.pi * (index % 3) / 3
    x, y = (3 * f(angle) + source.gauss(0, 0.6) for f in (math.cos, math.sin))
    rows.append((x, y, float(index % 3), index % 5 == 0))
points = spark.createDataFrame(rows, ["x", "y", "label", "held"])
assembler = VectorAssembler(inputCols=["x", "y"], outputCol="features")
blobs = assembler.transform(points).select("features", "label", "held")

network = Network.sequential(Linear(16), ReLU(), Linear(3), Softmax())
classifier = NetworkClassifier(
    network=network,
    epochs=4,
    batchSize=8,
    learningRate=0.02,
    seed=3,
    validationIndicatorCol="held",
)
evaluator = MulticlassClassificationEvaluator(metricName="accuracy")


def scores(frame: DataFrame) -> list[list[float]]:
    return [list(row.probability) for row in frame.orderBy("label", "features").collect()]


told: dict[str, object] = {}
model = classifier.fit(blobs)
scored = model.transform(blobs.drop("held"))
told["jvm"] = SparkContext._jvm is not None
told["columns"] = scored.columns
told["accuracy"] = evaluator.evaluate(scored)
told["numClasses"], told["numFeatures"] = model.numClasses, model.numFeatures

summary = model.summary
told["losses"] = summary.losses
told["rowsTrained"] = summary.rowsTrained
told["history"] = [list(row) for row in summary.history.select("epoch", "loss").collect()]
told["validationAccuracy"] = summary.validationMetric("accuracy")

classifier.save(f"{FOLDER}/estimator")
loaded_classifier = NetworkClassifier.load(f"{FOLDER}/estimator")
told["estimatorEpochs"] = loaded_classifier.getEpochs()
model.write().overwrite().save(f"{FOLDER}/model")
loaded = NetworkClassificationModel.load(f"{FOLDER}/model")
told["sameNetwork"] = network == loaded_classifier.getNetwork() == load_network(f"{FOLDER}/model")
told["sameAfterLoading"] = scores(loaded.transform(blobs)) == scores(model.transform(blobs))
told["lossesAfterLoading"] = loaded.summary.losses
weights = load_weights(f"{FOLDER}/model")
told["weights"] = {name: list(weights[name].shape) for name in sorted(weights)}
try:
    _ = model.weights
except NotImplementedError as error:
    told["refused"] = str(error)

piped = Pipeline(stages=[assembler, classifier]).fit(points)
piped.write().overwrite().save(f"{FOLDER}/pipeline")
again = PipelineModel.load(f"{FOLDER}/pipeline")
told["pipelineSame"] = bool(
    np.array_equal(scores(piped.transform(points)), scores(again.transform(points)))
)

grid = ParamGridBuilder().addGrid(classifier.learningRate, [1e-9, 0.03]).build()
found = TrainValidationSplit(
    estimator=classifier, estimatorParamMaps=grid, evaluator=evaluator, parallelism=2, seed=5
).fit(blobs)
told["searched"] = found.validationMetrics

lines = assembler.transform(points).selectExpr(
    "features", "x - y as line", "x", "y", "held", "label"
)
regressor = NetworkRegressor(
    network=Network.sequential(Linear(1)),
    labelCol="line",
    predictionCol="found",
    epochs=6,
    batchSize=8,
    learningRate=0.1,
    seed=3,
    validationIndicatorCol="held",
)
regression = regressor.fit(lines)
fitted = regression.transform(lines).orderBy("x").select("found").collect()
told["r2"] = RegressionEvaluator(labelCol="line", predictionCol="found", metricName="r2").evaluate(
    regression.transform(lines)
)
regressor.save(f"{FOLDER}/regressor")
told["regressorLabel"] = NetworkRegressor.load(f"{FOLDER}/regressor").getLabelCol()
regression.save(f"{FOLDER}/regression")
loaded_regression = NetworkRegressionModel.load(f"{FOLDER}/regression")
told["regressionSame"] = (
    loaded_regression.transform(lines).orderBy("x").select("found").collect() == fitted
)
told["regressionMetrics"] = sorted(
    metric.name for metric in loaded_regression.summary.epochs[-1].validation.metrics
)
told["regressionLosses"] = [regression.summary.losses, loaded_regression.summary.losses]

two = Network(
    ["left", "right"],
    [
        Node.of("both", Concatenate(), "left", "right"),
        Node.of("bent", Linear(16), "both"),
        Node.of("hidden", ReLU(), "bent"),
        Node.of("logits", Linear(3), "hidden"),
        Node.of("shares", Softmax(), "logits"),
        Node.of("line", Linear(1), "both"),
    ],
    ["shares", "line"],
)
estimator = NetworkEstimator(
    network=two,
    featuresCols=["x", "y"],
    featuresScales=[0.5, 0.5],
    labelCols=["label", "line"],
    outputCols=["shares", "found"],
    strategy="single",
    optimizer="adam",
    epochs=6,
    batchSize=8,
    learningRate=0.05,
    seed=3,
    validationIndicatorCol="held",
    monitor="line_mae",
    restoreBest=True,
)
several = estimator.fit(lines)
outputs = several.transform(lines).orderBy("x").select("shares", "found", "label", "line").collect()
told["outputColumns"] = several.transform(lines).columns
told["topics"] = float(np.mean([np.argmax(row.shares) == row.label for row in outputs]))
told["lineError"] = float(np.mean([abs(row.found - row.line) for row in outputs]))
estimator.save(f"{FOLDER}/several")
told["estimatorScales"] = NetworkEstimator.load(f"{FOLDER}/several").getFeaturesScales()
several.save(f"{FOLDER}/severalModel")
loaded_several = NetworkModel.load(f"{FOLDER}/severalModel")
told["severalSame"] = (
    loaded_several.transform(lines)
    .orderBy("x")
    .select("shares", "found", "label", "line")
    .collect()
    == outputs
)
told["severalNetwork"] = two == load_network(f"{FOLDER}/severalModel")
told["severalMetrics"] = sorted(
    loaded_several.summary.history.orderBy("epoch").select("metrics").collect()[-1].metrics
)
told["bestEpoch"] = [several.summary.bestEpoch, loaded_several.summary.bestEpoch]
told["lineErrors"] = several.summary.validationMetric("line_mae")

try:
    NetworkClassifier(network=network, batchSize=0).fit(blobs)
except Exception as error:
    told["error"] = str(error)

spark.stop()
print(json.dumps(told))
