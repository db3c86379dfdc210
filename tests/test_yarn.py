"""Fits on YARN, whose driver is the process of spark-submit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import ROOT, Run, Spark
from test_fit import ROWS, check_ledger
from yarn import Cluster, yarn_cluster

DATA = f"data={ROOT / 'examples' / 'data'}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with yarn_cluster(tmp_path_factory.mktemp("yarn")) as running:
        yield running


def submit(spark: Spark, cluster: Cluster, tag: str, *arguments: str) -> Run:
    """Starts a fit whose application has a tag."""
    return spark.submit(
        "firesteel.e2e.FitMnist",
        DATA,
        *arguments,
        master="yarn",
        conf={**cluster.conf, "spark.yarn.tags": tag},
        environment=cluster.environment,
    )


def tagged(cluster: Cluster, tag: str) -> dict[str, Any]:
    """The application with a tag."""
    (application,) = cluster.applications(tag)
    return application


def test_a_fit_on_yarn_learns_on_two_executors(spark: Spark, cluster: Cluster) -> None:
    result = submit(spark, cluster, "learns", "epochs=2").succeed()
    check_ledger(result, 2)
    assert result["workers"] == result["tasks"] == 2
    assert result["accuracy"] > 0.95
    application = tagged(cluster, "learns")
    assert (application["state"], application["finalStatus"]) == ("FINISHED", "SUCCEEDED")
    logs = cluster.container_logs(application["id"])
    trained = [re.findall(r"trains (\d+) rows of partition", log) for log in logs.values()]
    rows = [int(count) for (count,) in filter(None, trained)]
    assert len(rows) == 2 and sum(rows) == ROWS, cluster.logs()


def test_an_application_on_yarn_ends_when_its_driver_is_killed(
    spark: Spark, cluster: Cluster, eventually: Callable[..., None]
) -> None:
    run = submit(spark, cluster, "killed", "epochs=1000")
    run.until("epoch 2/1000")
    assert tagged(cluster, "killed")["state"] == "RUNNING"
    assert len(cluster.executors()) == 2
    run.kill()

    def ended() -> bool:
        return tagged(cluster, "killed")["state"] in ("FINISHED", "FAILED", "KILLED")

    eventually(ended, "the application goes on without its driver", 60)
    eventually(lambda: not cluster.executors(), "executors go on without their driver", 30)
