"""A parameter server that is spread over the driver and executors."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

from conftest import LOCAL_CLUSTER, ROOT, Run, Spark, Undisturbed
from test_fit import check_ledger

DATA = f"data={ROOT / 'examples' / 'data'}"
EXECUTOR = "CoarseGrainedExecutorBackend"
MNIST = "firesteel.e2e.FitMnist"


def _weights(folder: Path) -> bytes:
    found = sorted(folder.rglob("*.safetensors"))
    assert found, f"no weights below {folder}"
    return b"".join(path.read_bytes() for path in found)


def _fit(spark: Spark, *arguments: str, **options: Any) -> Run:
    return spark.submit(MNIST, DATA, *arguments, master=LOCAL_CLUSTER, **options)


def test_one_worker_trains_to_the_same_weights_with_one_server_and_with_three(spark: Spark) -> None:
    weights = []
    for shards in (1, 3):
        model = spark.folder / f"model-{shards}"
        run = _fit(spark, "workers=1", "epochs=1", f"shards={shards}", f"model={model}")
        check_ledger(run.succeed(), 1)
        weights.append(_weights(model))
    assert weights[0] == weights[1]


def test_several_workers_learn_through_three_servers_as_they_do_through_one(
    spark: Spark, undisturbed: Undisturbed
) -> None:
    arguments = ("epochs=4",)
    whole = undisturbed(*arguments)
    result = _fit(spark, *arguments, "shards=3").succeed()
    assert result["workers"] == 2
    check_ledger(result, 4)
    assert result["accuracy"] >= whole - 0.005


def test_the_executor_of_a_shard_that_is_killed_fails_the_fit_by_name(spark: Spark) -> None:
    run = _fit(spark, "epochs=1000", "shards=3")
    run.until("rows/s")
    start = time.monotonic()
    os.kill(run.descendants(EXECUTOR)[0], signal.SIGKILL)
    assert run.wait(90) != 0
    assert time.monotonic() - start < 60, "it must not wait for the network's timeout"
    lost = r"shard [12] of 3 on executor \d+ at \S+:\d+ is lost"
    assert re.search(lost, run.output), run.output[-3000:]
    assert run.crash_reports() == []


def test_more_shards_than_executors_are_refused_with_their_number(spark: Spark) -> None:
    run = _fit(spark, "epochs=1", "shards=5")
    assert run.wait() != 0
    assert "serverShards is 5, but the application has 2 executors" in run.output


def test_shards_without_the_plugin_are_refused(spark: Spark) -> None:
    run = _fit(spark, "epochs=1", "shards=2", plugin=False)
    assert run.wait() != 0
    assert "spark.plugins does not name firesteel.plugin.FiresteelPlugin" in run.output
