"""A cached DataFrame into native memory, beside `mapInPandas` with a function that does nothing."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from tests.bench import session
from tests.bench.columns import arrays
from tests.bench.rounds import medians, report
from tests.bench.where import TRAIN


def nothing(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Takes every batch and gives none."""
    for _ in batches:
        pass
    return iter(())


class Rates(NamedTuple):
    """Rows a second."""

    ours: float
    idle: float


def measure(spark: SparkSession, name: str, df: DataFrame, aim: str) -> Rates:
    """Both ways for a DataFrame of features and a label."""
    df = session.cached(df)
    rows = df.count()
    load = spark._jvm.firesteel.e2e.LoadRows
    ours, idle = medians(
        lambda: load.run(df._jdf, "features", "label", session.CORES),
        lambda: session.discard(df.mapInPandas(nothing, df.schema)),
    )
    df.unpersist(blocking=True)
    rates = Rates(rows / ours, rows / idle)
    report(name, rates.ours, rates.idle, aim)
    return rates


def main() -> None:
    spark = session.start()
    images = session.read(spark, TRAIN)
    for _ in range(2):
        images = images.union(images)
    of_arrays = measure(spark, "road-array", arrays(images), "4")
    of_bytes = measure(spark, "road-binary", images, "8")
    # In Python, images that are to be calculated with come as arrays.
    report("road-binary-array", of_bytes.ours, of_arrays.idle)


if __name__ == "__main__":
    main()
