"""Whole fits through spark-submit, in one JVM and on executors, on the oldest and newest Spark."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from conftest import LOCAL_CLUSTER, ROOT, Spark

DATA = f"data={ROOT / 'examples' / 'data'}"
ROWS = 60_000


def rows_by_epoch(result: dict[str, Any]) -> dict[int, int]:
    rows: Counter[int] = Counter()
    for entry in result["ledger"]:
        rows[entry["epoch"]] += entry["rows"]
    return dict(rows)


def check_ledger(result: dict[str, Any], epochs: int) -> None:
    """Checks that every epoch has every row once, and windows have no gap or overlap."""
    assert rows_by_epoch(result) == dict.fromkeys(range(epochs), ROWS)
    for entry in result["ledger"]:
        assert entry["supersededRows"] == 0
        batch = 0
        for span in entry["spans"]:
            assert span["start"] == batch, entry
            batch += span["batches"]
        assert sum(span["rows"] for span in entry["spans"]) == entry["rows"]


@pytest.mark.parametrize(
    ("version", "master"),
    [("4.0.0", "local[2]"), ("4.3", "local[2]"), ("4.0.0", LOCAL_CLUSTER), ("4.3", LOCAL_CLUSTER)],
)
def test_mnist_trains_with_every_row_once_an_epoch(spark: Spark, version: str, master: str) -> None:
    run = spark.submit("firesteel.e2e.FitMnist", DATA, "epochs=3", version=version, master=master)
    result = run.succeed()
    assert result["spark"].startswith(version)
    assert result["workers"] == result["tasks"] == 2
    check_ledger(result, 3)
    assert result["accuracy"] > 0.96
    assert result["losses"][2] < result["losses"][0]
    if master == LOCAL_CLUSTER:
        trained = re.findall(r"trains (\d+) rows of partition", "".join(run.executor_logs()))
        assert len(trained) == 2, "the native logs of both executors"
        assert sum(map(int, trained)) == ROWS


def test_a_fit_needs_no_plugin_configuration(spark: Spark) -> None:
    run = spark.submit(
        "firesteel.e2e.FitMnist", DATA, "epochs=1", master=LOCAL_CLUSTER, plugin=False
    )
    check_ledger(run.succeed(), 1)


def test_sixteen_workers_on_two_slots_are_sixteen_workers(spark: Spark) -> None:
    run = spark.submit("firesteel.e2e.FitMnist", DATA, "epochs=2", "workers=16")
    result = run.succeed()
    assert (result["workers"], result["tasks"]) == (16, 2)
    assert len({(entry["partition"], entry["index"]) for entry in result["ledger"]}) == 16
    check_ledger(result, 2)
