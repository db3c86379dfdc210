"""The releases of Spark and the JDKs that the README lists: on each of them a fit from Python."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import LOCAL_CLUSTER, RELEASES, ROOT, Spark

PROGRAM = Path(__file__).with_name("release_program.py")
PACKAGE = ROOT / "spark-plugin" / "python"
NEWEST = list(RELEASES)[-1]


LAST = {release.rpartition(".")[0]: release for release in RELEASES}.values()
# The JDKs that the README lists beside that of the other tests.
JDKS = ["25"]


def jdk_home(jdk: str) -> Path:
    """The folder of a JDK of this machine."""
    for release in sorted(Path("/usr/lib/jvm").glob("*/release")):
        if re.search(rf'^JAVA_VERSION="{jdk}\b', release.read_text(), re.MULTILINE):
            return release.parent.resolve()
    pytest.skip(f"JDK {jdk} is not installed")


def fit(spark: Spark, release: str, master: str = "local[2]", **environment: str) -> dict[str, Any]:
    run = spark.start(
        "spark-submit",
        [str(PROGRAM), str(spark.folder / "model")],
        version=release,
        master=master,
        conf={"spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "2"},
        environment={"PYTHONPATH": str(PACKAGE), **environment},
    )
    result = run.succeed()
    assert "but this is Spark" not in run.output, "a warning about an untested version"
    assert result["spark"] == result["pyspark"] == release
    assert result["workers"] == 2
    assert result["history"] == list(range(10))
    assert result["accuracy"] > 0.95
    assert result["same"], "the loaded model predicts something else"
    return result


@pytest.mark.parametrize("release", RELEASES)
def test_a_model_is_trained_saved_and_loaded(spark: Spark, release: str) -> None:
    # On executors with the last release of each version.
    fit(spark, release, LOCAL_CLUSTER if release in LAST else "local[2]")


@pytest.mark.parametrize("jdk", JDKS)
def test_another_jdk_serves_the_newest_release(spark: Spark, jdk: str) -> None:
    result = fit(spark, NEWEST, JAVA_HOME=str(jdk_home(jdk)))
    assert result["java"].split(".")[0] == jdk


def test_the_supported_versions_are_those_of_these_releases() -> None:
    jdk_row = re.search(r"^\| JDK \| ([^|]+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert jdk_row and re.findall(r"\b\d\d\b", jdk_row[1])[1:] == JDKS
    row = re.search(r"^\| Spark \| ([^|]+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert row and re.findall(r"\d+\.\d+\.\d+", row[1]) == list(RELEASES)
    oldest, newest = (release.rpartition(".")[0] for release in (next(iter(RELEASES)), NEWEST))
    source = ROOT / "spark-plugin/src/main/java/firesteel/plugin/SupportedSpark.java"
    check = source.read_text()
    assert f'OLDEST = "{oldest}"' in check and f'NEWEST = "{newest}"' in check
    major, minor = newest.split(".")
    required = f'"pyspark>={oldest},<{major}.{int(minor) + 1}"'
    assert required in (PACKAGE / "pyproject.toml").read_text()
