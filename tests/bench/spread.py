"""The cost of spreadRows: rows read into native memory as for a fit, each of its ways in turn."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from tests.bench import session
from tests.bench.columns import arrays
from tests.bench.rounds import report, times
from tests.bench.where import TRAIN

ROUNDS = 7
FILES = 8
WAYS = ("auto", "always")


def compare(name: str, rounds: int, work: Callable[[str], Callable[[], object]]) -> None:
    """Reports the seconds of each way beside those of `never`, after a round of warm-up."""
    works = [work(way) for way in ("never", *WAYS)]
    times(1, *works)
    never, *others = times(rounds, *works)
    for way, seconds in zip(WAYS, others, strict=True):
        report(f"spread-{name}-{way}", seconds, never)


def read(spark: SparkSession, name: str, df: DataFrame) -> None:
    """Every way to read a DataFrame of features and a label."""
    load = spark._jvm.firesteel.e2e.LoadRows
    compare(
        name,
        ROUNDS,
        lambda way: lambda: load.run(df._jdf, "features", "label", session.CORES, way),
    )


def fit(spark: SparkSession, df: DataFrame) -> None:
    """Every way to fit one epoch."""

    def work(way: str) -> Callable[[], object]:
        estimator = session.classifier(spark, 1)
        estimator.setSpreadRows(way)
        return lambda: estimator.fit(df._jdf)

    compare("fit", 3, work)


def main() -> None:
    spark = session.start()
    images = session.read(spark, TRAIN)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind, df in (("binary", images.union(images)), ("array", arrays(images))):
            for order, ordered in (
                ("mixed", df.repartition(FILES)),
                ("sorted", df.repartitionByRange(FILES, "label").sortWithinPartitions("label")),
            ):
                ordered.write.parquet(str(folder / f"{kind}-{order}"))
            mixed = session.read(spark, folder / f"{kind}-mixed")
            read(spark, f"{kind}-parquet", mixed)
            read(spark, f"{kind}-sorted", session.read(spark, folder / f"{kind}-sorted"))
            mixed.cache().count()
            read(spark, f"{kind}-cached", mixed)
            mixed.unpersist(blocking=True)
        fit(spark, session.read(spark, folder / "binary-mixed"))


if __name__ == "__main__":
    main()
