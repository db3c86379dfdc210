"""A cached DataFrame into native memory, beside `mapInPandas` with a function that does nothing:
one that gives its batches back as they are, and one that only takes them.
"""

from collections.abc import Iterator

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from tests.bench import session
from tests.bench.columns import arrays
from tests.bench.rounds import medians, report
from tests.bench.where import TRAIN


def give_back(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Every batch as it is."""
    yield from batches


def take(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Takes every batch and gives none."""
    for _ in batches:
        pass
    return iter(())


def measure(spark: SparkSession, name: str, df: DataFrame, aim: str) -> None:
    """All ways for a DataFrame of features and a label."""
    df = session.cached(df)
    rows = df.count()
    load = spark._jvm.firesteel.e2e.LoadRows
    ours, given_back, taken = medians(
        lambda: load.run(df._jdf, "features", "label", session.CORES, "never"),
        lambda: session.discard(df.mapInPandas(give_back, df.schema)),
        lambda: session.discard(df.mapInPandas(take, df.schema)),
    )
    df.unpersist(blocking=True)
    report(name, rows / ours, rows / given_back, aim)
    report(f"{name}-taken", rows / ours, rows / taken)


def copies(images: DataFrame, count: int) -> DataFrame:
    """All rows `count` times, a power of two."""
    return images if count == 1 else copies(images.union(images), count // 2)


def main() -> None:
    spark = session.start()
    images = session.read(spark, TRAIN)
    # Enough that starting a job does not show; arrays of floats take four times the memory.
    measure(spark, "road-array", arrays(copies(images, 4)), "4")
    measure(spark, "road-binary", copies(images, 16), "8")


if __name__ == "__main__":
    main()
