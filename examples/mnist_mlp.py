"""Classifies handwritten digits with a perceptron.

    python examples/mnist_mlp.py

Prints the accuracy on the test images; draws the learning curves and saves the model.
"""

import argparse
from pathlib import Path

import firesteel
from firesteel.classification import NetworkClassifier
from firesteel.layers import Linear, ReLU, Softmax
from pyspark.ml.evaluation import MulticlassClassificationEvaluator

DATA = Path(__file__).resolve().parent / "data"

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--share", type=float, default=1.0, help="of the training images")
parser.add_argument("--epochs", type=int, default=5, help="passes over the images")
parser.add_argument("--out", type=Path, default=Path("/tmp/firesteel"), help="folder for results")
options = parser.parse_args()

spark = firesteel.session().master("local[2]").appName("MNIST, perceptron").getOrCreate()
train = spark.read.parquet(str(DATA / "mnist-train.parquet")).sample(fraction=options.share, seed=1)
test = spark.read.parquet(str(DATA / "mnist-test.parquet"))

network = firesteel.Network.sequential(
    Linear(500), ReLU(), Linear(300), ReLU(), Linear(10), Softmax()
)
classifier = NetworkClassifier(
    network=network,
    epochs=options.epochs,
    schedule="cosine",
    scheduleInterval="step",
    validationFraction=0.1,
    metrics=["accuracy"],
    seed=1,
)
model = classifier.fit(train)

evaluator = MulticlassClassificationEvaluator(metricName="accuracy")
accuracy = evaluator.evaluate(model.transform(test))
print(f"test accuracy {100 * accuracy:.2f} %")
print(f"trained {model.summary.rowsPerSecond:,.0f} rows/s, {model.summary.seconds:.1f} s")

options.out.mkdir(parents=True, exist_ok=True)
model.summary.plot().savefig(options.out / "mnist_mlp.png", dpi=100)
model.write().overwrite().save(str(options.out / "mnist-mlp"))
