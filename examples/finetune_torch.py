"""Fine-tunes a PyTorch network from the digits 0 to 4 to 5 to 9 with a few hundred images.

    python examples/finetune_torch.py

The body of the network is frozen, its head is new. Trained in Spark, it goes back to PyTorch.
"""

import argparse
import copy
from pathlib import Path

import firesteel
import numpy as np
import pyarrow.parquet as pq
import torch
from firesteel.classification import NetworkClassificationModel, NetworkClassifier
from matplotlib.figure import Figure
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.sql import functions as sf
from torch import nn

DATA = Path(__file__).resolve().parent / "data"

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--share", type=float, default=1.0, help="of the images to pretrain on")
parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 500, 1000])
parser.add_argument("--out", type=Path, default=Path("/tmp/firesteel"), help="folder for results")
options = parser.parse_args()
torch.manual_seed(1)

# PyTorch alone: a network for the digits 0 to 4.
table = pq.read_table(DATA / "mnist-train.parquet").to_pandas()
known = table[table.label < 5].sample(frac=options.share, random_state=1)
pixels = np.stack([np.frombuffer(image, np.uint8) for image in known.features])
images, labels = torch.from_numpy(pixels).float() / 255, torch.tensor(known.label.to_numpy())
body = nn.Sequential(
    nn.Unflatten(1, (1, 28, 28)),
    nn.Conv2d(1, 16, 5, padding=2),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
)
pretrained = nn.Sequential(body, nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, 5))
optimizer = torch.optim.Adam(pretrained.parameters())
for batch in torch.randperm(len(images)).split(64):
    optimizer.zero_grad()
    nn.functional.cross_entropy(pretrained(images[batch]), labels[batch].long()).backward()
    optimizer.step()

# Spark: the digits 5 to 9, classified by a new head on the frozen body.
spark = firesteel.session().master("local[2]").appName("Fine-tuning").getOrCreate()
train, test = (
    spark.read.parquet(str(DATA / f"mnist-{part}.parquet"))
    .where("label >= 5")
    .selectExpr("features", "label - 5 AS label")
    for part in ("train", "test")
)
evaluator = MulticlassClassificationEvaluator(metricName="accuracy")


def learn(module: nn.Module, rows: int) -> tuple[NetworkClassificationModel, float]:
    """Trains on this many images; returns the model and its accuracy on all test images."""
    classifier = NetworkClassifier(
        network=firesteel.from_torch(module), strategy="single", batchSize=16, epochs=20, seed=1
    )
    model = classifier.fit(train.orderBy(sf.xxhash64("features")).limit(rows))
    return model, evaluator.evaluate(model.transform(test))


def reset(module: nn.Module) -> None:
    """Resets a layer to random weights."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        module.reset_parameters()


body.requires_grad_(False)
tuned, scratch = [], []
print("| images | frozen body, new head | all from random weights |")
print("| --- | --- | --- |")
for rows in options.sizes:
    model, accuracy = learn(nn.Sequential(body, nn.Linear(800, 5)), rows)
    tuned.append(100 * accuracy)
    blank = copy.deepcopy(body).requires_grad_(True).apply(reset)
    scratch.append(100 * learn(nn.Sequential(blank, nn.Linear(800, 5)), rows)[1])
    print(f"| {rows} | {tuned[-1]:.2f} % | {scratch[-1]:.2f} % |", flush=True)

# Back to PyTorch, which predicts the same as Spark; the body is unchanged.
module = model.to_torch()
some = model.transform(test).limit(500).toPandas()
pixels = np.stack([np.frombuffer(image, np.uint8) for image in some.features])
with torch.no_grad():
    logits = module(torch.from_numpy(pixels).float() / 255).numpy()
difference = np.abs(logits - np.stack([vector.toArray() for vector in some.rawPrediction])).max()
print(f"logits of PyTorch and of Spark differ by {difference:.1e} at most")
trained = module.state_dict()
frozen = all(torch.equal(value, trained[f"0.{name}"]) for name, value in body.state_dict().items())
print(f"the frozen body is {'the same to the last bit' if frozen else 'changed'}")
options.out.mkdir(parents=True, exist_ok=True)
model.export_torchscript(options.out / "digits.pt")
model.export_onnx(options.out / "digits.onnx")

figure = Figure(figsize=(5, 3.5), layout="constrained")
axes = figure.subplots()
axes.semilogx(options.sizes, tuned, "o-", label="frozen body, new head")
axes.semilogx(options.sizes, scratch, "s--", label="all from random weights")
axes.set_xlabel("images of 5 to 9 to learn from")
axes.set_ylabel("accuracy on test images, %")
axes.set_xticks(options.sizes, [str(size) for size in options.sizes])
axes.minorticks_off()
axes.grid(alpha=0.3)
axes.legend()
figure.savefig(options.out / "finetune_torch.png", dpi=110)
