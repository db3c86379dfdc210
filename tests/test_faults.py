"""Faults of a cluster during a fit: lost executors, and JVMs that shut down in the middle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import LOCAL_CLUSTER, LONG_EPOCHS, ROOT, Spark, Undisturbed
from test_fit import check_ledger

DATA = f"data={ROOT / 'examples' / 'data'}"
EXECUTOR = "CoarseGrainedExecutorBackend"


def test_an_executor_killed_in_the_middle_costs_no_row_and_no_accuracy(
    spark: Spark, undisturbed: Undisturbed
) -> None:
    arguments = ("epochs=6", LONG_EPOCHS)
    whole = undisturbed(*arguments)
    run = spark.submit("firesteel.e2e.FitMnist", DATA, *arguments, master=LOCAL_CLUSTER)
    run.until("epoch 2/6")
    victim = run.descendants(EXECUTOR)[0]
    os.kill(victim, signal.SIGKILL)
    result = run.succeed()
    check_ledger(result, 6)
    attempts = {
        (entry["partition"], span["attempt"])
        for entry in result["ledger"]
        for span in entry["spans"]
    }
    assert len(attempts) > 2, "nothing was retried: the executor died too late or too early"
    assert result["accuracy"] >= whole - 0.005


@pytest.mark.parametrize("master", ["local[2]", LOCAL_CLUSTER])
def test_system_exit_while_tasks_train_keeps_its_exit_code(spark: Spark, master: str) -> None:
    trigger = spark.folder / "leave"
    arguments = [DATA, "code=7", f"trigger={trigger}"]
    run = spark.submit("firesteel.e2e.LeaveWhileTraining", *arguments, master=master)
    run.until("rows/s")
    trigger.touch()
    assert run.wait() == 7, run.output[-3000:]
    assert run.crash_reports() == []
    assert "SIGSEGV" not in run.output
    assert "FitListener threw" not in run.output


def test_sigterm_while_tasks_train_crashes_nothing(
    spark: Spark, eventually: Callable[..., None]
) -> None:
    run = spark.submit("firesteel.e2e.FitMnist", DATA, "epochs=1000", master=LOCAL_CLUSTER)
    run.until("rows/s")
    executors = run.descendants(EXECUTOR)
    assert executors
    driver = run.descendants("SparkSubmit")
    os.kill(driver[0] if driver else run.process.pid, signal.SIGTERM)
    assert run.wait() in (143, -signal.SIGTERM)
    eventually(lambda: not any(_alive(pid) for pid in executors), "executors outlive the driver")
    assert run.crash_reports() == []
    assert "FitListener threw" not in run.output


def test_executors_end_by_themselves_when_the_driver_is_killed(
    spark: Spark, eventually: Callable[..., None]
) -> None:
    run = spark.submit("firesteel.e2e.FitMnist", DATA, "epochs=1000", master=LOCAL_CLUSTER)
    run.until("rows/s")
    executors = run.descendants(EXECUTOR)
    for pid in [*run.descendants("SparkSubmit"), run.process.pid]:
        if _alive(pid):
            os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: not any(_alive(pid) for pid in executors), "executors outlive the driver", 60
    )
    time.sleep(1)
    assert run.crash_reports() == []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
