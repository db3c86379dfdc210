"""A whole dist-keras script, run like its users run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from conftest import BUILD, ROOT

ROWS, EPOCHS, BATCH, WORKERS = 1600, 4, 16, 2


def test_the_script_of_dist_keras_trains_and_tells_digits_apart() -> None:
    command = [sys.executable, str(ROOT / "examples/distkeras_mnist.py")]
    options = ["--rows", str(ROWS), "--test-rows", "400", "--epochs", str(EPOCHS)]
    settings = {
        "spark.firesteel.libtorch.path": str((BUILD / "libtorch").resolve()),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
    }
    arguments = [f"--conf {key}={value}" for key, value in settings.items()]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "spark-plugin/python"),
        "PYSPARK_SUBMIT_ARGS": " ".join([*arguments, "pyspark-shell"]),
    }
    done = subprocess.run(
        [*command, *options],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lines = re.findall(r"^(\w+): accuracy ([\d.]+), [\d.]+ s, (\d+) updates$", done.stdout, re.M)
    assert [name for name, _, _ in lines] == ["SingleTrainer", "DOWNPOUR", "ADAG", "AEASGD"]
    for name, accuracy, _ in lines:
        assert float(accuracy) > 0.75, name
    batches = ROWS // WORKERS // BATCH
    updates = [WORKERS * EPOCHS * -(-batches // window) for window in (5, 5, 8)]
    assert [int(count) for _, _, count in lines] == [0, *updates]
