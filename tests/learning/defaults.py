"""Scores of fits at defaults with 1 to 16 workers, beside PyTorch: appends to a CSV file.

`python -m tests.learning.defaults FILE.csv [--seeds 5] [--tasks NAME...]`; lines that the file has
already are not measured again.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import torch

from . import firesteel_fit, pytorch
from .tasks import TASKS

FIELDS = ["task", "system", "workers", "seed", "score", "trained"]
WORKERS = (1, 2, 4, 8, 16)


class Lines:
    """The lines of the file, by what was measured."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.write_text(",".join(FIELDS) + "\n")
        with path.open() as file:
            self._known = {tuple(row[f] for f in FIELDS[:4]) for row in csv.DictReader(file)}

    def measure(self, key: tuple[str, str, int, int], of: Callable[[], tuple[float, int]]) -> None:
        """Measures a score and the workers that trained, unless they are known."""
        names = tuple(map(str, key))
        if names in self._known:
            return
        score, trained = of()
        with self._path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([*names, f"{score:.4f}", trained])
        print(*names, f"{score:.4f}", trained, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="*", default=WORKERS)
    parser.add_argument("--tasks", nargs="*", default=[task.name for task in TASKS])
    options = parser.parse_args()
    lines = Lines(options.file)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    # A slot for each worker, whatever the machine has: so 16 workers really train where they may.
    spark = firesteel_fit.session(max(WORKERS))
    for task in TASKS:
        if task.name not in options.tasks:
            continue
        train, held = task.rows()
        frames = [firesteel_fit.frame(spark, rows) for rows in (train, held)]
        for seed in range(1, options.seeds + 1):
            lines.measure(
                (task.name, "pytorch", 1, seed),
                lambda task=task, seed=seed, rows=(train, held): (
                    pytorch.trained(task, seed, *rows),
                    1,
                ),
            )
            for workers in options.workers:

                def fit(task=task, seed=seed, workers=workers, frames=frames):  # type: ignore[no-untyped-def]
                    model = firesteel_fit.estimator(task, seed, numWorkers=workers).fit(frames[0])
                    return firesteel_fit.score(task, model, frames[1]), model.summary.workers

                lines.measure((task.name, "firesteel", workers, seed), fit)
        for rows in frames:
            rows.unpersist()
    spark.stop()


if __name__ == "__main__":
    main()
