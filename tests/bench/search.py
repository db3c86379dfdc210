"""Four candidates in one fit beside four fits, one after the other."""

from typing import Any

from pyspark.sql import DataFrame

from tests.bench import session
from tests.bench.columns import arrays
from tests.bench.rounds import report, times
from tests.bench.where import TRAIN

EPOCHS = 1
ROUNDS = 3
RATES = (0.01, 0.02, 0.05, 0.1)


def maps(spark: Any, estimator: Any) -> list[Any]:
    found = []
    for rate in RATES:
        values = spark._jvm.org.apache.spark.ml.param.ParamMap()
        values.put(estimator.learningRate(), rate)
        found.append(values)
    return found


def measure(spark: Any, name: str, train: DataFrame, estimator: Any, aim: str) -> None:
    candidates = maps(spark, estimator)
    together = spark._jvm.PythonUtils.toSeq(candidates)

    def one_by_one() -> None:
        for values in candidates:
            estimator.fit(train._jdf, values)

    ours, beside = times(ROUNDS, lambda: estimator.fit(train._jdf, together), one_by_one)
    report(name, ours, beside, aim)


def main() -> None:
    spark = session.start()
    images = session.read(spark, TRAIN)
    estimator = session.classifier(spark, EPOCHS)
    estimator.fit(images._jdf)  # loads and compiles what a session needs once
    # Reading costs little here, training all: side by side must not cost anything.
    measure(spark, "search", images, estimator, "<=1.05")
    # Reading runs Python for each row.
    measure(spark, "search/computed", arrays(images), estimator, "<=0.8")


if __name__ == "__main__":
    main()
