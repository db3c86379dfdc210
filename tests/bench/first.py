"""The first fit of a session beside the second: the cost of loading and compiling once."""

import statistics
import subprocess
import sys
import time

from tests.bench import session
from tests.bench.rounds import report
from tests.bench.where import ROOT, TRAIN

EPOCHS = 3
ROUNDS = 3


def fits() -> None:
    """Prints the seconds of two fits of a new session."""
    spark = session.start()
    train = session.read(spark, TRAIN)
    seconds = []
    for _ in range(2):
        estimator = session.classifier(spark, EPOCHS)
        start = time.perf_counter()
        estimator.fit(train._jdf)
        seconds.append(time.perf_counter() - start)
    print(*seconds)


def main() -> None:
    command = [sys.executable, "-m", "tests.bench.first", "fits"]
    rounds = []
    for _ in range(ROUNDS):
        printed = subprocess.check_output(command, cwd=ROOT, text=True)
        rounds.append([float(word) for word in printed.split()[-2:]])
    first, second = (statistics.median(column) for column in zip(*rounds, strict=True))
    report("first", first, second)


if __name__ == "__main__":
    fits() if sys.argv[1:] == ["fits"] else main()
