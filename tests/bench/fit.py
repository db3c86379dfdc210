"""Whole fits beside the engine's own time for the same steps, without Spark."""

import statistics
import subprocess
import time

from tests.bench import session
from tests.bench.rounds import report
from tests.bench.where import ROOT, TRAIN

EPOCHS = 5
ROUNDS = 3


def engine() -> float:
    """The seconds that two workers take in a process without a JVM."""
    command = ["cargo", "bench", "--quiet", "-p", "firesteel-train", "--bench", "training"]
    return float(subprocess.check_output([*command, "engine"], cwd=ROOT, text=True))


def main() -> None:
    spark = session.start()
    train = session.read(spark, TRAIN)._jdf
    estimator = session.classifier(spark, EPOCHS)
    estimator.fit(train)  # loads and compiles what a session needs once
    fits, engines = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        estimator.fit(train)
        fits.append(time.perf_counter() - start)
        engines.append(engine())
    report("fit", statistics.median(fits), statistics.median(engines), "<=1.4")


if __name__ == "__main__":
    main()
