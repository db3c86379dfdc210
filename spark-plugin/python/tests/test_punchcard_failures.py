"""The reason of a failed training, and whether another attempt is worth its time."""

from __future__ import annotations

from typing import Any

import pytest
from firesteel.punchcard.failures import CHARACTERS, LINES, is_permanent, reason
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.errors.exceptions.captured import convert_exception
from pyspark.sql import SparkSession


@pytest.fixture
def java(spark: SparkSession) -> Any:
    """The JVM's packages."""
    return spark._jvm


def of(java_exception: Any) -> Py4JJavaError:
    return Py4JJavaError("An error occurred while calling o1.fit.", java_exception)


def test_a_missing_path_and_a_missing_column_are_permanent(spark: SparkSession) -> None:
    with pytest.raises(AnalysisException) as missing:
        spark.read.parquet("/none/rows.parquet")
    assert is_permanent(missing.value)
    assert "[PATH_NOT_FOUND]" in reason(missing.value)
    with pytest.raises(AnalysisException) as unresolved:
        spark.range(3).where("label > 1")
    assert is_permanent(unresolved.value)
    # The plan of the query is left out.
    text = reason(unresolved.value)
    assert "`label`" in text and "Filter" not in text and "\n" not in text


def test_an_illegal_argument_is_permanent_also_as_the_cause_of_a_failed_job(java: Any) -> None:
    cause = java.java.lang.IllegalArgumentException("there is no column 'digit'")
    text = "Job aborted due to stage failure: there is no column 'digit'\n\tat a.B.c(B.scala:1)\n\n"
    failed = of(java.org.apache.spark.SparkException(f"{text}Driver stacktrace:", cause))
    assert is_permanent(of(cause)) and is_permanent(failed)
    assert is_permanent(convert_exception(cause))
    assert reason(failed) == (
        "SparkException: Job aborted due to stage failure: there is no column 'digit'"
    )
    assert is_permanent(of(java.firesteel.bridge.InvalidDataException("class 7 in row 12")))
    assert is_permanent(of(java.java.io.FileNotFoundException("/none")))


def test_failures_of_machines_and_networks_are_not_permanent(java: Any) -> None:
    unknown = java.java.net.UnknownHostException("namenode")
    lost = java.org.apache.spark.SparkException("an executor was lost")
    # Hadoop wraps a name that does not resolve.
    wrapped = java.java.lang.IllegalArgumentException("java.net.UnknownHostException", unknown)
    for error in (unknown, lost, wrapped, java.java.lang.OutOfMemoryError("heap")):
        assert not is_permanent(of(error))
    assert not is_permanent(OSError("the disk is full"))
    assert is_permanent(ValueError("loss does not fit the network"))


def test_a_reason_keeps_its_lines_and_names_the_setting_of_the_server(java: Any) -> None:
    text = "libtorch 2.13.0 was not found:\n  LIBTORCH is not set\nAdd its jar to --jars."
    lines = reason(of(java.firesteel.bridge.LibtorchException(text))).splitlines()
    assert lines[:3] == [
        "LibtorchException: libtorch 2.13.0 was not found:",
        "  LIBTORCH is not set",
        "Add its jar to --jars.",
    ]
    assert "firesteel.jars of its punchcard.toml" in lines[3]


def test_a_reason_is_bounded() -> None:
    assert len(reason(ValueError("x" * 5000))) == CHARACTERS
    assert len(reason(ValueError("x\n" * 500)).splitlines()) == LINES
    assert reason(ValueError()) == "ValueError"
