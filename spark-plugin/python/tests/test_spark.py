"""The jars, and a session with them."""

from __future__ import annotations

import sys
from pathlib import Path

import firesteel
import firesteel.spark as module
import pytest
from conftest import BUILD
from firesteel.stages import _new_java_object
from pyspark.sql import SparkSession


def test_in_a_checkout_the_jars_are_those_that_make_built() -> None:
    jars = firesteel.spark_jars()
    assert jars[0] == str(BUILD / "firesteel.jar")
    assert set(jars[1:]) <= {str(BUILD / "firesteel-libtorch-cpu-linux-x86_64.jar")}


def test_an_installed_package_has_its_jars_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = {"firesteel": "firesteel.jar", "firesteel_libtorch_cpu": module._NATIVES_JAR}
    for package, jar in packages.items():
        (tmp_path / package / "jars").mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "jars" / jar).touch()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "firesteel" / "spark.py"))
    monkeypatch.setattr(module, "_CHECKOUT_BUILD", tmp_path / "nowhere")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert firesteel.spark_jars() == [
        str(tmp_path / package / "jars" / jar) for package, jar in packages.items()
    ]
    sys.modules.pop("firesteel_libtorch_cpu", None)
    (tmp_path / "firesteel" / "jars" / "firesteel.jar").unlink()
    with pytest.raises(FileNotFoundError, match=r"firesteel\.jar is missing: install the wheel"):
        firesteel.spark_jars()


def test_the_session_runs_the_plugin(spark: SparkSession) -> None:
    conf = spark.sparkContext.getConf()
    assert conf.get("spark.plugins") == "firesteel.plugin.FiresteelPlugin"
    assert "firesteel.jar" in conf.get("spark.jars")


def test_a_spark_without_the_jar_is_told_how_to_get_it(spark: SparkSession) -> None:
    with pytest.raises(RuntimeError, match=r"no class firesteel\.Nothing: start it with firesteel"):
        _new_java_object("firesteel.Nothing", "uid")
