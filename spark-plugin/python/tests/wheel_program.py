"""A fit with nothing but the wheels: wheel_program.py FOLDER; prints JSON at the end."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import firesteel
from firesteel.classification import NetworkClassifier
from firesteel.layers import Linear, Softmax
from pyspark.sql.functions import udf


def python_workers() -> int:
    """The processes below this one that run Python for Spark's executors."""
    parents, lines = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
            lines[int(entry.name)] = line
    found, frontier = 0, [os.getpid()]
    while frontier:
        children = [pid for pid, above in parents.items() if above == frontier[0]]
        frontier = frontier[1:] + children
        found += sum("pyspark.daemon" in lines[pid] for pid in children)
    return found


spark = (
    firesteel.session()
    .master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.firesteel.native.directory", sys.argv[1])
    .getOrCreate()
)
rows = spark.range(0, 40, 1, 1).selectExpr(
    "array(double(id - 20), double(20 - id)) features", "double(id > 20) label"
)
network = firesteel.Network.sequential(Linear(2), Softmax())
classifier = NetworkClassifier(network=network, epochs=5, batchSize=4, learningRate=0.1, seed=1)
model = classifier.fit(rows)
told = {
    "right": model.transform(rows).where("label = prediction").count(),
    "history": [row.epoch for row in model.summary.history.collect()],
    "workers": python_workers(),
    "jars": firesteel.spark_jars(),
    "file": firesteel.__file__,
}
# What a Python function starts, so that none of it above means something.
rows.select(udf(str)("label").alias("text")).where("text = '1.0'").count()
told["workersOfAFunction"] = python_workers()
spark.stop()
print(json.dumps(told))
