"""The history of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from firesteel.summary import TrainingSummary


class Entry(TypedDict):
    """One epoch of one worker.

    ``history`` has the mean loss of the rows and NaN for each of the trainer's metrics, which
    workers do not compute; ``worker_id`` counts from 0; ``iteration`` is the number of mini-batches
    that the worker had trained at the end of ``epoch``, which counts from 0.
    """

    history: NDArray[np.float64]
    worker_id: int
    iteration: int
    epoch: int


def history_of(summary: TrainingSummary, metrics: int) -> list[Entry]:
    """Returns the history of all workers, worker by worker."""
    ledger = sorted(summary.ledger, key=lambda entry: (entry.partition, entry.index, entry.epoch))
    workers: dict[tuple[int, int], int] = {}
    trained: dict[int, int] = {}
    found: list[Entry] = []
    for entry in ledger:
        worker = workers.setdefault((entry.partition, entry.index), len(workers))
        trained[worker] = trained.get(worker, 0) + sum(span.batches for span in entry.spans)
        values = np.full(1 + metrics, np.nan)
        if entry.loss is not None:
            values[0] = entry.loss
        found.append(
            Entry(history=values, worker_id=worker, iteration=trained[worker], epoch=entry.epoch)
        )
    return found


def history_executor(history: Sequence[Entry], id: int) -> list[Entry]:
    """Returns the entries of one worker, in order."""
    own = [entry for entry in history if entry["worker_id"] == id]
    return sorted(own, key=lambda entry: entry["iteration"])


def history_executors_average(history: Sequence[Entry]) -> list[NDArray[np.float64]]:
    """Returns the mean over the workers for each epoch."""
    epochs = sorted({entry["epoch"] for entry in history})
    return [
        np.mean([entry["history"] for entry in history if entry["epoch"] == epoch], axis=0)
        for epoch in epochs
    ]
