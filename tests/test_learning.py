"""Fits at defaults beside a plain PyTorch loop, on small data sets; `make learn` measures more."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

import pytest
from learning import firesteel_fit, pytorch
from learning.tasks import TASKS, Task
from pyspark.sql import SparkSession

SEEDS = (1, 2, 3)
SLOTS = 4
# Points of accuracy, or a share of a regression's loss: what means of three seeds may differ by on
# few rows, several times the aim that `make learn` measures on many.
POINTS, SHARE = 1.5, 0.15
SMALL = [
    "digits, batch norm",
    "breast cancer",
    "Friedman's regression",
    "digits as sequences, LSTM",
]


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    found = firesteel_fit.session(SLOTS)
    yield found
    found.stop()


@pytest.mark.parametrize("task", [t for t in TASKS if t.name in SMALL], ids=lambda t: t.name)
def test_a_fit_at_defaults_learns_what_pytorch_learns_with_any_number_of_workers(
    session: SparkSession, task: Task
) -> None:
    rows = task.rows()
    train, held = (firesteel_fit.frame(session, part) for part in rows)
    expected = mean(pytorch.trained(task, seed, *rows) for seed in SEEDS)
    found = {}
    for workers in (1, 2, SLOTS):
        models = [
            firesteel_fit.estimator(task, seed, numWorkers=workers).fit(train) for seed in SEEDS
        ]
        assert {model.summary.workers for model in models} == {workers}
        found[workers] = mean(firesteel_fit.score(task, model, held) for model in models)
    if task.classes:
        assert all(score > expected - POINTS for score in found.values()), (expected, found)
    else:
        assert all(loss < expected * (1 + SHARE) for loss in found.values()), (expected, found)
