"""Seconds to a target accuracy on MNIST's test images: fits at defaults beside a PyTorch loop.

`python -m tests.learning.target FILE.csv [--rounds 3]` measures, in turns within one run, the
PyTorch loop with one and two threads and fits with one and two workers, and appends a line for
each. A system's time is that of the first epoch at whose end the target is reached: for PyTorch of
the loop alone, the images in memory; for Firesteel of `fit` with so many epochs, reading the rows
included. Needs a machine with two idle cores.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from pyspark.sql import DataFrame

from . import firesteel_fit, pytorch
from .tasks import DATA, TASKS, Rows, Task, mnist

FIELDS = ["task", "target", "system", "round", "epochs", "accuracy", "seconds"]
EPOCHS = 12
TARGETS = {"MNIST, perceptron": 97.5, "MNIST, convnet": 98.5}

Reached = tuple[int, float, float]


def images(part: str) -> Rows:
    """The images of MNIST from 0 to 1, and their labels."""
    table = pq.read_table(DATA / f"mnist-{part}.parquet")
    pixels = np.frombuffer(b"".join(table["features"].to_pylist()), np.uint8)
    labels = table["label"].to_numpy().astype(np.float32)
    return pixels.reshape(-1, 784).astype(np.float32) / np.float32(255), labels


def by_pytorch(task: Task, target: float, threads: int, seed: int) -> Reached:
    """Epochs, accuracy and seconds of the loop."""
    torch.set_num_threads(threads)
    scores = pytorch.epochs(task, seed, mnist(60000)(), images("test"))
    for epoch, (accuracy, seconds) in enumerate(scores, 1):
        if accuracy >= target:
            return epoch, accuracy, seconds
    return EPOCHS, accuracy, float("nan")


def by_firesteel(
    task: Task, target: float, workers: int, seed: int, frames: tuple[DataFrame, DataFrame]
) -> Reached:
    """Epochs, accuracy and seconds of the first fit that reaches the target."""
    for epochs in range(1, EPOCHS + 1):
        estimator = firesteel_fit.estimator(
            replace(task, epochs=epochs), seed, numWorkers=workers, showProgress=False
        )
        start = time.perf_counter()
        model = estimator.fit(frames[0])
        seconds = time.perf_counter() - start
        accuracy = firesteel_fit.score(task, model, frames[1])
        if accuracy >= target:
            return epochs, accuracy, seconds
    return EPOCHS, accuracy, float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    spark = firesteel_fit.session(2)
    frames = tuple(
        spark.read.parquet(str(DATA / f"mnist-{part}.parquet")).cache()
        for part in ("train", "test")
    )
    for frame in frames:
        frame.count()
    tasks = [replace(task, epochs=EPOCHS) for task in TASKS if task.name in TARGETS]
    firesteel_fit.estimator(replace(tasks[0], epochs=1), 1).fit(
        frames[0]
    )  # what a session needs once
    new = not options.file.exists()
    with options.file.open("a", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        if new:
            lines.writerow(FIELDS)
        for turn in range(1, options.rounds + 1):
            for task in tasks:
                target = TARGETS[task.name]
                systems: dict[str, Callable[[], Reached]] = {
                    f"PyTorch, {threads} thread{'s'[: threads - 1]}": (
                        lambda threads=threads, task=task, target=target, turn=turn: by_pytorch(
                            task, target, threads, turn
                        )
                    )
                    for threads in (1, 2)
                } | {
                    f"Firesteel, {workers} worker{'s'[: workers - 1]}": (
                        lambda workers=workers, task=task, target=target, turn=turn: by_firesteel(
                            task, target, workers, turn, frames
                        )
                    )
                    for workers in (1, 2)
                }
                for name, measure in systems.items():
                    epochs, accuracy, seconds = measure()
                    line = [
                        task.name,
                        target,
                        name,
                        turn,
                        epochs,
                        f"{accuracy:.2f}",
                        f"{seconds:.2f}",
                    ]
                    lines.writerow(line)
                    file.flush()
                    print(*line, flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
