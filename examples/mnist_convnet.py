"""Classifies handwritten digits with a convolutional network.

    python examples/mnist_convnet.py

Prints the accuracy on the test images and draws the digits that the network is most wrong about.
"""

import argparse
from pathlib import Path

import firesteel
import numpy as np
from firesteel.classification import NetworkClassifier
from firesteel.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Softmax
from matplotlib.figure import Figure
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as sf

DATA = Path(__file__).resolve().parent / "data"

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--share", type=float, default=1.0, help="of the training images")
parser.add_argument("--epochs", type=int, default=5, help="passes over the images")
parser.add_argument("--out", type=Path, default=Path("/tmp/firesteel"), help="folder for results")
options = parser.parse_args()

spark = firesteel.session().master("local[2]").appName("MNIST, convnet").getOrCreate()
train = spark.read.parquet(str(DATA / "mnist-train.parquet")).sample(fraction=options.share, seed=1)
test = spark.read.parquet(str(DATA / "mnist-test.parquet"))

network = firesteel.Network.sequential(
    Conv2d(16, 5, padding="same"),
    ReLU(),
    MaxPool2d(2),
    Conv2d(32, 5),
    ReLU(),
    MaxPool2d(2),
    Flatten(),
    Linear(128),
    ReLU(),
    Dropout(0.3),
    Linear(10),
    Softmax(),
).with_input_shape(1, 28, 28)  # a row has the 784 pixels of an image one after the other
classifier = NetworkClassifier(network=network, batchSize=64, epochs=options.epochs, seed=1)
model = classifier.setLearningRate(2e-3).setSchedule("cosine").fit(train)

scored = model.transform(test).cache()
accuracy = MulticlassClassificationEvaluator(metricName="accuracy").evaluate(scored)
print(f"test accuracy {100 * accuracy:.2f} %")
print(f"trained {model.summary.rowsPerSecond:,.0f} rows/s, {model.summary.seconds:.1f} s")

confidence = sf.array_max(vector_to_array("probability"))
wrong = scored.where("label != prediction").orderBy(confidence.desc()).limit(16).collect()
figure = Figure(figsize=(8, 2.6), layout="constrained")
for axes, row in zip(figure.subplots(2, 8).flat, wrong, strict=False):
    axes.imshow(np.frombuffer(row.features, np.uint8).reshape(28, 28), cmap="gray_r")
    axes.set_title(f"{row.label}, taken for {row.prediction:.0f}", fontsize=7)
    axes.set_axis_off()
options.out.mkdir(parents=True, exist_ok=True)
figure.savefig(options.out / "mnist_convnet.png", dpi=120)
model.write().overwrite().save(str(options.out / "mnist-convnet"))
