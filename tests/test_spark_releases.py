"""The releases of Spark and the JDKs that the README lists: on each of them a fit from Python."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import RELEASES, ROOT, Spark

PROGRAM = Path(__file__).with_name("release_program.py")
PACKAGE = ROOT / "spark-plugin" / "python"
NEWEST = list(RELEASES)[-1]


def jdks() -> dict[str, Path]:
    """The JDKs of this machine from 17 on, by version, without that of the other tests."""
    default = Path(shutil.which("java") or "").resolve().parent.parent
    found = {}
    for release in sorted(Path("/usr/lib/jvm").glob("*/release")):
        version = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE)
        home = release.parent.resolve()
        if version and int(version[1]) >= 17 and home != default:
            found[version[1]] = home
    return found


JDKS = jdks()


def fit(spark: Spark, release: str, **environment: str) -> dict[str, Any]:
    run = spark.start(
        "spark-submit",
        [str(PROGRAM), str(spark.folder / "model")],
        version=release,
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
    fit(spark, release)


@pytest.mark.parametrize("jdk", JDKS)
def test_other_jdks_of_this_machine_serve_the_newest_release(spark: Spark, jdk: str) -> None:
    result = fit(spark, NEWEST, JAVA_HOME=str(JDKS[jdk]))
    assert result["java"].split(".")[0] == jdk


def test_the_supported_versions_are_those_of_these_releases() -> None:
    row = re.search(r"^\| Spark \| ([^|]+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert row and re.findall(r"\d+\.\d+\.\d+", row[1]) == list(RELEASES)
    oldest, newest = (release.rpartition(".")[0] for release in (next(iter(RELEASES)), NEWEST))
    source = ROOT / "spark-plugin/src/main/java/firesteel/plugin/SupportedSpark.java"
    check = source.read_text()
    assert f'OLDEST = "{oldest}"' in check and f'NEWEST = "{newest}"' in check
    major, minor = newest.split(".")
    required = f'"pyspark>={oldest},<{major}.{int(minor) + 1}"'
    assert required in (PACKAGE / "pyproject.toml").read_text()
