"""Candidates of a search in one fit on executors."""

from __future__ import annotations

import os
import signal

from conftest import LOCAL_CLUSTER, ROOT, Spark
from test_fit import check_ledger

DATA = f"data={ROOT / 'examples' / 'data'}"
EPOCHS = 4


def test_an_executor_killed_in_the_middle_costs_no_candidate_a_row(spark: Spark) -> None:
    strategies = "strategies=downpour,sync"
    arguments = [DATA, strategies, f"epochs={EPOCHS}"]
    run = spark.submit("firesteel.e2e.FitCandidates", *arguments, master=LOCAL_CLUSTER)
    run.until("candidates [==")
    os.kill(run.descendants("CoarseGrainedExecutorBackend")[0], signal.SIGKILL)
    result = run.succeed()
    for strategy in ("downpour", "sync"):
        found = result[strategy]
        check_ledger(found, EPOCHS)
        spans = [span for entry in found["ledger"] for span in entry["spans"]]
        assert len({span["attempt"] for span in spans}) > 2, f"{strategy}: nothing was retried"
        assert found["accuracy"] > 0.95, strategy
