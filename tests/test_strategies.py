"""Every strategy over sockets: two executor JVMs, MNIST."""

from __future__ import annotations

from conftest import LOCAL_CLUSTER, ROOT, Spark

DATA = f"data={ROOT / 'examples' / 'data'}"
ASYNCHRONOUS = ["downpour", "adag", "agn-adaptive", "dynsgd", "aeasgd", "eamsgd"]
ROUNDS = ["averaging", "easgd", "sync", "local-sgd", "diloco", "auto"]
ALONE = ["ensemble"]


def test_every_strategy_learns_on_executors_with_more_workers_than_slots(spark: Spark) -> None:
    strategies = ASYNCHRONOUS + ROUNDS + ALONE
    run = spark.submit(
        "firesteel.e2e.FitStrategies",
        DATA,
        f"strategies={','.join(strategies)}",
        "workers=4",
        "epochs=2",
        master=LOCAL_CLUSTER,
    )
    result = run.succeed()
    for strategy in strategies:
        assert result[strategy]["rows"] == [60_000, 60_000], strategy
    low = {s: result[s]["accuracy"] for s in strategies if result[s]["accuracy"] < 0.9}
    assert not low, {s: result[s] for s in low}
