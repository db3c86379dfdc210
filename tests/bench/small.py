"""The fixed cost of a fit: small fits beside an empty job with as many tasks."""

import statistics
import sys
from collections.abc import Callable

from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from tests.bench import session
from tests.bench.rounds import taken
from tests.bench.where import ROOT

sys.path.insert(0, str(ROOT / "spark-plugin" / "python"))

from firesteel import Network
from firesteel.classification import NetworkClassifier
from firesteel.layers import Linear, ReLU, Softmax

ROWS, FEATURES, CLASSES = 1000, 20, 3
WARM_UP, ROUNDS = 20, 15
AIM_MILLIS = 150
WORKERS = {"default": session.CORES, "downpour": session.CORES, "single": 1}


def table(spark: SparkSession) -> DataFrame:
    """Vectors of features and labels, in Spark's cache."""
    names = [f"x{index}" for index in range(FEATURES)]
    columns = [f.rand(seed).alias(name) for seed, name in enumerate(names)]
    rows = spark.range(0, ROWS, 1, session.CORES).select(*columns)
    vectors = VectorAssembler(inputCols=names, outputCol="features").transform(rows)
    label = (f.col("x0") * CLASSES).cast("int").cast("double").alias("label")
    train = vectors.select("features", label).cache()
    train.count()
    return train


def fit(train: DataFrame, strategy: str) -> Callable[[], object]:
    """A fit of one epoch."""
    estimator = NetworkClassifier(
        network=Network.sequential(Linear(32), ReLU(), Linear(CLASSES), Softmax()),
        epochs=1,
        numWorkers=WORKERS[strategy],
    )
    if strategy != "default":
        estimator.setStrategy(strategy)
    return lambda: estimator.fit(train)


def main() -> None:
    spark = session.start()
    train = table(spark)
    numbers = list(range(session.CORES))

    def empty() -> None:
        spark._jsc.parallelize(numbers, len(numbers)).count()

    works = (empty, *(fit(train, strategy) for strategy in WORKERS))
    seconds = [of_work[WARM_UP:] for of_work in taken(WARM_UP + ROUNDS, works)]
    job = 1000 * statistics.median(seconds[0])
    for strategy, of_fits in zip(WORKERS, seconds[1:], strict=True):
        cost = 1000 * statistics.median(of_fits) - job
        print(f"bench small-{strategy} ours {cost:.4g} aim <={AIM_MILLIS}", flush=True)


if __name__ == "__main__":
    main()
