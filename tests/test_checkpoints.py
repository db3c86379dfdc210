"""Fits whose driver dies, and their resumption."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import LOCAL_CLUSTER, LONG_EPOCHS, ROOT, Run, Spark, Undisturbed
from test_fit import ROWS, check_ledger, rows_by_epoch

DATA = f"data={ROOT / 'examples' / 'data'}"
EPOCHS = 6


def kill_driver(run: Run) -> None:
    """Kills the driver and leaves the executors running."""
    for pid in [*run.descendants("SparkSubmit"), run.process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    assert run.wait() != 0


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/checkpoint-*.bin"))


@pytest.mark.parametrize(
    ("strategy", "master", "later_master"),
    [
        ("", LOCAL_CLUSTER, LOCAL_CLUSTER),
        ("strategy=sync window= batch=128 schedule=cosine", "local[2]", "local[1]"),
        ("strategy=downpour window=4 batch=128", "local[2]", "local[3]"),
    ],
)
def test_a_fit_whose_driver_was_killed_goes_on_and_ends_as_good(
    spark: Spark,
    eventually: Callable[..., None],
    undisturbed: Undisturbed,
    strategy: str,
    master: str,
    later_master: str,
) -> None:
    """The number of workers is not set, so it is that of the slots, which may be others later."""
    folder = spark.folder / "checkpoints"
    plain = [f"epochs={EPOCHS}", LONG_EPOCHS, *strategy.split()]
    whole = undisturbed(*plain)
    arguments = [DATA, *plain, "workers=", f"checkpoints={folder}"]
    run = spark.submit("firesteel.e2e.FitMnist", *arguments, master=master)
    run.until(f"epoch 3/{EPOCHS}")
    before = checkpoints(folder)
    eventually(lambda: checkpoints(folder) != before, "no checkpoint of the third epoch", 60)
    kill_driver(run)
    assert len(list(folder.iterdir())) == 1
    assert checkpoints(folder)

    result = spark.submit("firesteel.e2e.FitMnist", *arguments, master=later_master).succeed()
    fewer = later_master == "local[1]"
    assert (result["workers"], result["tasks"]) == (2, 1 if fewer else 2)
    told = [text for text in result["decisions"] if "resumes with 2 workers" in text]
    assert len(told) == (later_master != master), result["decisions"]
    if later_master != master:
        # Spark splits files by the slots, so the rows of a worker may be others, with which the
        # epoch that was open starts again.
        assert rows_by_epoch(result) == dict.fromkeys(range(EPOCHS), ROWS)
    else:
        check_ledger(result, EPOCHS)
    spans = [(entry["epoch"], span) for entry in result["ledger"] for span in entry["spans"]]
    earlier = [epoch for epoch, span in spans if span["attempt"] == -1]
    later = [epoch for epoch, span in spans if span["attempt"] >= 0]
    assert set(earlier) >= {0, 1}, "two epochs were behind the first driver"
    assert max(later) == EPOCHS - 1
    assert min(later) >= 2, "an epoch that was done is not trained again"
    assert [text for text in result["warnings"] if "resumed in epoch 3 of 6" in text]
    assert result["accuracy"] >= whole - 0.005
    assert list(folder.iterdir()) == [], "removed on success"
