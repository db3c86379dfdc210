"""Scripted modules, and PyTorch's results for them.

Reads a JSON list of cases from standard input and writes a JSON list of results. A case names a
module, the file that its archive is saved to, inputs, labels, a learning rate and how many steps
of SGD to take over all rows.
"""

import json
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Convolutional(nn.Module):
    """Batch norm between convolutions, with a counter that is an integer buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3)
        )
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.body(x)).mean((2, 3)))


class Encoder(nn.Module):
    """A transformer's encoder over token ids, with a mask that holds infinite values."""

    def __init__(self, length: int = 5) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.register_buffer("positions", torch.arange(length))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))
        self.places = nn.Embedding(length, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        values = self.words(ids) + self.places(self.positions)
        return self.head(self.norm(self.layer(values, src_mask=self.mask)[:, -1]))


class Tied(nn.Module):
    """One tensor under two names, and one that the loss does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.out = nn.Linear(4, 7)
        self.out.weight = self.words.weight
        self.unused = nn.Linear(2, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(torch.tanh(self.words(ids).mean(1)))


class Frozen(nn.Module):
    """A frozen first layer, and buffers that are replaced instead of modified."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.first.requires_grad_(False)
        self.second = nn.Linear(6, 3)
        self.register_buffer("mean", torch.full((6,), 0.5))
        self.register_buffer("seen", torch.tensor(False))
        self.register_buffer("steps", torch.tensor(2, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        values = torch.relu(self.first(x))
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * values.detach().mean(0)
            self.seen = torch.tensor(True)
            self.steps = self.steps + 1
        return self.second(values - self.mean)


class WideAndDeep(nn.Module):
    """Token ids and numbers in, two tensors out."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = nn.Embedding(6, 3)
        self.body = nn.Linear(3 * 2 + 4, 8)
        self.value = nn.Linear(8, 1)
        self.pair = nn.Linear(8, 2)

    def forward(self, ids: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat((self.kinds(ids).flatten(1), x), 1)
        values = torch.relu(self.body(both))
        return self.value(values), self.pair(values)


class Recurrent(nn.Module):
    """A recurrent layer behind another module, with a Linear layer on its last state."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"memory": kind(4, 5, batch_first=True)})
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.body["memory"](x.unsqueeze(1))[0][:, -1])


class Cells(nn.Module):
    """A recurrence written as a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(4, 5)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        state, memory = self.cell(x)
        for _ in range(2):
            state, memory = self.cell(x, (state, memory))
        return self.out(state)


class Functional(nn.Module):
    """A softmax by a function, seen through a branch and a reshape, beside logits."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = self.out(x)
        return functional.softmax(values, dim=1).reshape(-1, 3), values, torch.sigmoid(values)


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))


MODULES = {
    "mlp": lambda: nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)),
    "perceptron": perceptron,
    "dropping": dropping,
    "convolutional": Convolutional,
    "encoder": Encoder,
    "tied": Tied,
    "frozen": Frozen,
    "wide and deep": WideAndDeep,
    "LSTM": lambda: Recurrent(nn.LSTM),
    "GRU": lambda: Recurrent(nn.GRU),
    "RNN": lambda: Recurrent(nn.RNN),
    "cells": Cells,
    "softmax": lambda: nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1)),
    "log softmax": lambda: nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=-1)),
    "functional": Functional,
    "double": lambda: nn.Linear(4, 3).double(),
}


def tensor(value: dict[str, Any]) -> Tensor:
    """A tensor of the request."""
    kind = torch.int64 if value.get("integer") else torch.float32
    return torch.tensor(value["values"], dtype=kind).reshape(value["shape"])


def numbers(value: Tensor) -> list[float]:
    """The values of a tensor, flat."""
    return value.detach().to(torch.float64).flatten().tolist()


def state(module: nn.Module) -> list[dict[str, Any]]:
    """The tensors of a module that are finite, in their order, each under its first name."""
    seen: set[int] = set()
    found = []
    for name, value in module.state_dict().items():
        if value.data_ptr() in seen or not bool(torch.isfinite(value).all()):
            continue
        seen.add(value.data_ptr())
        found.append({"name": name, "shape": list(value.shape), "values": numbers(value)})
    return found


def loss(outputs: list[Tensor], labels: list[Tensor]) -> Tensor:
    """Cross-entropy of a class, squared error of numbers, summed over the outputs."""
    total = torch.zeros(())
    for output, label in zip(outputs, labels, strict=True):
        if label.dtype == torch.int64:
            total = total + functional.cross_entropy(output, label)
        else:
            total = total + functional.mse_loss(output, label)
    return total


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """Saves and trains the module of a case."""
    torch.manual_seed(case.get("seed", 3))
    module = MODULES[case["module"]]()
    inputs = [tensor(value) for value in case.get("inputs", [])]
    labels = [tensor(value) for value in case.get("labels", [])]
    if case.get("traced"):
        torch.jit.trace(module.eval(), tuple(inputs)).save(case["path"])
    else:
        torch.jit.script(module).save(case["path"])
    result: dict[str, Any] = {"before": state(module)}

    def run() -> list[Tensor]:
        found = module(*inputs)
        return list(found) if isinstance(found, tuple) else [found]

    trained = [value for value in module.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=case.get("rate", 0.1))
    module.train()
    for _ in range(case.get("steps", 0)):
        optimizer.zero_grad()
        loss(run(), labels).backward()
        optimizer.step()
    module.eval()
    with torch.no_grad():
        outputs = run() if inputs else []
    return result | {"after": state(module), "outputs": [numbers(value) for value in outputs]}


def main() -> None:
    """Answers every case."""
    torch.set_num_threads(1)
    json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
