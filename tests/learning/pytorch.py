"""The plain PyTorch loop for comparison."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .tasks import Rows, Task, seeded


def tensors(task: Task, rows: Rows) -> tuple[Tensor, Tensor]:
    """Features and labels as the loop reads them."""
    features, labels = map(torch.from_numpy, rows)
    return features, labels.long() if task.classes else labels.view(-1, 1)


def score(task: Task, module: nn.Module, rows: tuple[Tensor, Tensor]) -> float:
    """Accuracy in percent, or the mean squared error of a regression."""
    features, labels = rows
    module.eval()
    with torch.no_grad():
        outputs = module(features)
    module.train()
    if task.classes:
        return 100 * (outputs.argmax(1) == labels).float().mean().item()
    return nn.functional.mse_loss(outputs, labels).item()


def epochs(task: Task, seed: int, train: Rows, held: Rows) -> Iterator[tuple[float, float]]:
    """Score of the held-out rows, and seconds trained so far, after each epoch."""
    module = seeded(task, seed)
    if task.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            module.parameters(), lr=task.rate, momentum=task.momentum
        )
    else:
        optimizer = torch.optim.Adam(module.parameters(), lr=task.rate)
    loss = nn.functional.cross_entropy if task.classes else nn.functional.mse_loss
    features, labels = tensors(task, train)
    scored, seconds = tensors(task, held), 0.0
    for _ in range(task.epochs):
        start = time.perf_counter()
        for batch in torch.randperm(len(labels)).split(task.batch):
            optimizer.zero_grad()
            loss(module(features[batch]), labels[batch]).backward()
            optimizer.step()
        seconds += time.perf_counter() - start
        yield score(task, module, scored), seconds


def trained(task: Task, seed: int, train: Rows, held: Rows) -> float:
    """Score of the held-out rows after all epochs."""
    *_, (last, _) = epochs(task, seed, train, held)
    return last
