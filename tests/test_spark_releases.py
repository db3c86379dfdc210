"""The releases of Spark that the README lists: on each of them a fit from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RELEASES, ROOT, Spark

PROGRAM = Path(__file__).with_name("release_program.py")
PACKAGE = ROOT / "spark-plugin" / "python"


@pytest.mark.parametrize("release", RELEASES)
def test_a_model_is_trained_saved_and_loaded(spark: Spark, release: str) -> None:
    run = spark.start(
        "spark-submit",
        [str(PROGRAM), str(spark.folder / "model")],
        version=release,
        conf={"spark.driver.memory": "1g"},
        environment={"PYTHONPATH": str(PACKAGE)},
    )
    result = run.succeed()
    assert result["spark"] == result["pyspark"] == release
    assert result["workers"] == 2
    assert result["history"] == list(range(10))
    assert result["accuracy"] > 0.95
    assert result["same"], "the loaded model predicts something else"
    assert "but this is Spark" not in run.output
