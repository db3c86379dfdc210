"""Clusters that grow, shrink, stall and copy tasks during a fit."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from conftest import LOCAL_CLUSTER, LONG_EPOCHS, ROOT, Spark, Undisturbed
from standalone import standalone_cluster
from test_fit import check_ledger

DATA = f"data={ROOT / 'examples' / 'data'}"
EXECUTOR = "CoarseGrainedExecutorBackend"
ASYNCHRONOUS = "downpour,adag,agn-adaptive,dynsgd,aeasgd,eamsgd"


def attempts(result: dict[str, Any]) -> set[tuple[int, int]]:
    """The partition and attempt of every applied span."""
    return {
        (entry["partition"], span["attempt"])
        for entry in result["ledger"]
        for span in entry["spans"]
    }


@pytest.mark.parametrize(("strategy", "window"), [("easgd", "4"), ("sync", ""), ("averaging", "")])
def test_a_worker_that_dies_leaves_the_rounds_and_its_retry_joins_them(
    spark: Spark, undisturbed: Undisturbed, strategy: str, window: str
) -> None:
    # Until the retry starts the others train without it, and it trains the rest without them, on
    # half of the rows: that costs little where the learning rate is low by then.
    arguments = ["epochs=6", LONG_EPOCHS, f"strategy={strategy}", f"window={window}"]
    arguments += ["batch=128", "schedule=cosine"]
    whole = undisturbed(*arguments)
    run = spark.submit("firesteel.e2e.FitMnist", DATA, *arguments, master=LOCAL_CLUSTER)
    run.until("epoch 2/6")
    os.kill(run.descendants(EXECUTOR)[0], signal.SIGKILL)
    result = run.succeed()
    check_ledger(result, 6)
    assert len(attempts(result)) > 2, "nothing was retried"
    assert result["accuracy"] >= whole - 0.005


def test_a_speculative_copy_takes_over_from_a_worker_that_stalls(
    spark: Spark, undisturbed: Undisturbed
) -> None:
    arguments = ("epochs=4", LONG_EPOCHS)
    whole = undisturbed(*arguments, "workers=3")
    # Without a number of workers, and without `spark.executor.cores`, by which an executor has all
    # cores of its machine.
    unset = (*arguments, "workers=")
    conf = {
        "spark.speculation": "true",
        "spark.speculation.quantile": "0.5",
        "spark.speculation.multiplier": "1.1",
        "spark.speculation.minTaskRuntime": "100ms",
        "spark.speculation.interval": "100ms",
        "spark.firesteel.server.lease": "3s",
    }
    # Spark copies a task only to another host.
    with standalone_cluster(spark.folder / "cluster", cores=(1, 2)) as cluster:
        run = spark.submit("firesteel.e2e.FitMnist", DATA, *unset, master=cluster.master, conf=conf)
        run.until("epoch 2/4")
        stalled = cluster.executors()[0]
        os.kill(stalled, signal.SIGSTOP)
        try:
            # It is given up on after 120 s; what follows the fit may want blocks of it.
            run.until("TRAINED", 60)
        finally:
            os.kill(stalled, signal.SIGCONT)
        result = run.succeed()
    check_ledger(result, 4)
    assert result["workers"] == result["tasks"] == 3
    assert len(attempts(result)) > 3, "no other attempt took over"
    assert result["accuracy"] >= whole - 0.005


def test_executors_come_and_go_under_dynamic_allocation(spark: Spark) -> None:
    conf = {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        # An executor that holds rows of a shuffle is kept for ever unless told otherwise.
        "spark.dynamicAllocation.shuffleTracking.timeout": "3s",
        "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.initialExecutors": "1",
        "spark.dynamicAllocation.maxExecutors": "3",
        "spark.dynamicAllocation.executorIdleTimeout": "3s",
        "spark.dynamicAllocation.cachedExecutorIdleTimeout": "3s",
        "spark.executor.cores": "1",
    }
    # Without a number of workers a fit has one for each slot that there may be.
    arguments = [DATA, "strategies=adag,easgd", "workers=", "epochs=3"]
    arguments += ["batch=32", "window=4"]
    undisturbed, result = (
        spark.submit(
            "firesteel.e2e.FitStrategies", *arguments, *more, master=master, conf=settings
        ).succeed()
        for master, settings, more in (
            ("local[3]", {}, []),
            ("local-cluster[3,1,1024]", conf, ["shrink=30"]),
        )
    )
    assert undisturbed["executors"]["removed"] == 0
    executors = result["executors"]
    assert executors["most"] == 3, "from the one that it begins with"
    assert executors["added"] > 3 and executors["removed"] > 0, "and again for the second fit"
    for strategy in ("adag", "easgd"):
        check_ledger(result[strategy], 3)
        assert result[strategy]["accuracy"] >= undisturbed[strategy]["accuracy"] - 0.005


@contextmanager
def slowed(pid: int, share: float) -> Iterator[None]:
    """Lets a process run for a fraction of the time."""
    period = 0.2
    end = threading.Event()

    def pulse() -> None:
        # The process may end by itself.
        with suppress(ProcessLookupError):
            while not end.is_set():
                os.kill(pid, signal.SIGSTOP)
                end.wait(period * (1 - share))
                os.kill(pid, signal.SIGCONT)
                end.wait(period * share)

    thread = threading.Thread(target=pulse, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_a_worker_ten_times_slower_costs_no_accuracy_in_any_asynchronous_strategy(
    spark: Spark,
) -> None:
    arguments = [DATA, f"strategies={ASYNCHRONOUS}", "epochs=2", "batch=128", "hidden=100"]
    undisturbed = spark.submit("firesteel.e2e.FitStrategies", *arguments).succeed()
    run = spark.submit("firesteel.e2e.FitStrategies", *arguments, master=LOCAL_CLUSTER)
    run.until("FIT downpour")
    with slowed(run.descendants(EXECUTOR)[0], 0.1):
        code = run.wait(600)
    assert code == 0, run.output[-6000:]
    result = run.result()
    for strategy in ASYNCHRONOUS.split(","):
        assert result[strategy]["rows"] == [60_000, 60_000], strategy
        lost = undisturbed[strategy]["accuracy"] - result[strategy]["accuracy"]
        assert lost < 0.005, f"{strategy}: {undisturbed[strategy]} {result[strategy]}"
