"""The plain in-memory PyTorch loop that the benchmark beside this script compares Firesteel with.

Arguments: a folder of Parquet files with MNIST, and how many of its rows to train on. Writes these
rows' images (784 bytes each) and labels (a byte each) to standard output, then answers each line of
JSON on standard input with one line: the seconds that the asked work took. One thread.
"""

import json
import sys
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn
from torch.nn import functional

WIDTHS = (784, 500, 300, 10)
# The values of a row of the wide network, and those that are not 0, as in `wide.rs`.
WIDE, ENTRIES = 100_000, 100
# The number of categories of each column of the tabular network, as in `tabular.rs`.
CATEGORIES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)


class Lstm(nn.Module):
    """An LSTM over the rows of an image, whose last hidden state is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 64, batch_first=True)
        self.linear = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the logits of images of 784 values."""
        _, (hidden, _) = self.lstm(images.reshape(-1, 28, 28))
        result: torch.Tensor = self.linear(hidden[-1])
        return result


class Tabular(nn.Module):
    """Embeddings of columns of categories, and three Linear layers."""

    def __init__(self, *, sparse: bool) -> None:
        super().__init__()
        tables = [nn.Embedding(count, 16, sparse=sparse) for count in CATEGORIES]
        self.tables = nn.ModuleList(tables)
        self.linear = nn.Sequential(
            nn.Linear(16 * len(CATEGORIES), 64),
            nn.ReLU(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 2),
        )

    def forward(self, categories: torch.Tensor) -> torch.Tensor:
        """Returns the logits of rows of categories."""
        columns = zip(self.tables, categories.unbind(1), strict=True)
        result: torch.Tensor = self.linear(torch.cat([table(c) for table, c in columns], 1))
        return result


class Wide(nn.Module):
    """Two Linear layers over whole mini-batches of wide rows: all values, a CSR matrix or a bag."""

    def __init__(self, kind: str, batch: int) -> None:
        super().__init__()
        self.kind = kind
        self.first: nn.Module = (
            nn.EmbeddingBag(WIDE, 64, mode="sum", sparse=True)
            if kind == "bag"
            else nn.Linear(WIDE, 64)
        )
        self.bias = nn.Parameter(torch.zeros(64))
        self.second = nn.Linear(64, 2)
        self.values = (torch.arange(batch * ENTRIES) % 7).reshape(batch, ENTRIES) / 7
        self.ends = ENTRIES * torch.arange(batch + 1)

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        """Returns the logits of rows, from the indices of their entries or from all values."""
        if self.kind == "dense":
            hidden = self.first(indices)
        elif self.kind == "bag":
            hidden = self.first(indices, per_sample_weights=self.values) + self.bias
        else:
            rows = torch.sparse_csr_tensor(
                self.ends, indices.flatten(), self.values.flatten(), (len(indices), WIDE)
            )
            hidden = torch.sparse.mm(rows, self.first.weight.t()) + self.first.bias
        result: torch.Tensor = self.second(functional.relu(hidden))
        return result


def network(name: str = "mlp", batch: int = 0) -> nn.Module:
    """Creates a network from its name in the benchmark."""
    torch.manual_seed(1)
    if name.startswith("tabular"):
        return Tabular(sparse=name.endswith("sparse"))
    if name == "lstm":
        return Lstm()
    if name == "convnet":
        return nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)),
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 12 * 12, 225),
            nn.ReLU(),
            nn.Linear(225, 10),
        )
    if name.startswith("wide"):
        return Wide(name.removeprefix("wide").removeprefix("-") or "dense", batch)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(WIDTHS):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def optimizer(
    name: str, parameters: list[nn.Parameter], *, sparse: bool = False
) -> torch.optim.Optimizer:
    """Creates a fused optimizer from its name in the benchmark; none takes sparse gradients."""
    match name:
        case "sgd":
            return torch.optim.SGD(parameters, lr=0.05, fused=not sparse)
        case "momentum":
            return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, fused=True)
        case "adam":
            return torch.optim.Adam(parameters, lr=1e-3, fused=True)
        case "adagrad":
            return torch.optim.Adagrad(parameters, lr=1e-2, fused=True)
        case _:
            raise ValueError(name)


class Training:
    """A network whose training continues from command to command."""

    def __init__(self, command: dict[str, Any], images: torch.Tensor, labels: torch.Tensor) -> None:
        name = command["network"]
        self.network = network(name, command["batch"])
        parameters = list(self.network.parameters())
        self.optimizer = optimizer(
            command["optimizer"], parameters, sparse=name in ("tabular-sparse", "wide-bag")
        )
        self.batch = command["batch"]
        self.inputs, self.labels = images[: command["rows"]], labels[: command["rows"]]
        if name.startswith("tabular"):
            columns = [torch.randint(count, (command["rows"],)) for count in CATEGORIES]
            self.inputs, self.labels = torch.stack(columns, 1), columns[0] % 2
        if name.startswith("wide"):
            stride = WIDE // ENTRIES
            offsets = torch.randint(stride, (command["rows"], ENTRIES))
            self.inputs = offsets + stride * torch.arange(ENTRIES)
            self.labels = self.inputs[:, 0] % 2
            if name == "wide":
                entries = torch.rand(self.inputs.shape)
                self.inputs = torch.zeros(command["rows"], WIDE).scatter_(1, self.inputs, entries)

    def epoch(self) -> None:
        """Trains one shuffled epoch."""
        order = torch.randperm(len(self.inputs))
        for rows in order.split(self.batch):
            self.optimizer.zero_grad()
            loss = functional.cross_entropy(self.network(self.inputs[rows]), self.labels[rows])
            loss.backward()
            self.optimizer.step()


class Passes:
    """An optimizer over the network's parameters with constant gradients."""

    def __init__(self, name: str) -> None:
        parameters = list(network().parameters())
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        self.optimizer = optimizer(name, parameters)

    def steps(self, count: int) -> None:
        """Runs optimizer steps."""
        for _ in range(count):
            self.optimizer.step()


def main() -> None:
    """Answers commands until the input ends."""
    torch.set_num_threads(1)
    folder, rows = sys.argv[1], int(sys.argv[2])
    table = pq.read_table(folder).slice(0, rows)
    pixels = b"".join(table["features"].to_pylist())
    classes = table["label"].to_numpy()
    sys.stdout.buffer.write(pixels + classes.astype(np.uint8).tobytes())
    sys.stdout.buffer.flush()
    images = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(rows, -1) / 255
    labels = torch.from_numpy(classes.astype(np.int64))

    kept: dict[str, Training | Passes] = {}
    for line in sys.stdin:
        command: dict[str, Any] = json.loads(line)
        torch.set_flush_denormal(command["flush"])
        if line not in kept:
            kept[line] = (
                Training(command, images, labels)
                if "batch" in command
                else Passes(command["optimizer"])
            )
        work = kept[line]
        start = time.perf_counter()
        if isinstance(work, Training):
            work.epoch()
        else:
            work.steps(command["steps"])
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
