"""The sources of libtorch, and the errors when it is missing."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from conftest import BUILD, LOCAL_CLUSTER, NATIVES_JAR, PLUGIN_JAR, Spark

DESCRIBE = "firesteel.e2e.Describe"
NOWHERE = {"spark.firesteel.libtorch.path": None}


def test_the_natives_jar_alone_serves_driver_and_executors(spark: Spark) -> None:
    conf = {
        "spark.firesteel.libtorch.path": None,
        "spark.firesteel.native.directory": str(spark.folder / "native"),
    }
    run = spark.submit(DESCRIBE, jars=[PLUGIN_JAR, NATIVES_JAR], master=LOCAL_CLUSTER, conf=conf)
    result = run.succeed()
    for loaded in [result["driver"], *result["executors"]]:
        assert loaded["version"] == "2.13.0"
        assert NATIVES_JAR.name in loaded["origin"]
    unpacked = list((spark.folder / "native").glob("*/libtorch_cpu.so"))
    assert len(unpacked) == 1, "a host unpacks once"


def test_the_environment_variable_names_libtorch(spark: Spark) -> None:
    libtorch = str((BUILD / "libtorch").resolve())
    run = spark.submit(DESCRIBE, conf=NOWHERE, environment={"LIBTORCH": libtorch})
    assert libtorch in run.succeed()["driver"]["origin"]


@pytest.mark.parametrize("on_all", [True, False])
def test_mkl_uses_its_fast_kernels_on_processors_of_other_makers_if_it_may(
    spark: Spark, on_all: bool
) -> None:
    conf = {} if on_all else {"spark.firesteel.mkl.fastPaths": "false"}
    is_intel = "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    result = spark.submit(DESCRIBE, conf=conf).succeed()
    expected = "fast" if on_all or is_intel else "portable"
    assert [loaded["mkl"] for loaded in [result["driver"], *result["executors"]]] == [expected] * 3


def test_a_missing_libtorch_is_said_with_where_it_was_looked_for(spark: Spark) -> None:
    run = spark.submit(DESCRIBE, conf=NOWHERE)
    assert run.wait() != 0
    assert "LibtorchException" in run.output
    for place in (
        "spark.firesteel.libtorch.path",
        "LIBTORCH",
        "firesteel-libtorch-cpu-linux-x86_64.jar",
    ):
        assert place in run.output, place


def test_another_version_of_libtorch_is_refused_by_name_and_version(
    spark: Spark, tmp_path: Path
) -> None:
    other = tmp_path / "libtorch-old"
    shutil.copytree(
        (BUILD / "libtorch").resolve(),
        other,
        symlinks=True,
        ignore=shutil.ignore_patterns("include"),
    )
    (other / "build-version").write_text("2.11.0+cpu\n")
    run = spark.submit(DESCRIBE, conf={"spark.firesteel.libtorch.path": str(other)})
    assert run.wait() != 0
    assert "LibtorchException" in run.output
    assert "2.11.0" in run.output and "2.13.0" in run.output and str(other) in run.output


def test_a_jar_without_its_native_library_says_so(spark: Spark, tmp_path: Path) -> None:
    bare = tmp_path / "firesteel-bare.jar"
    with (
        zipfile.ZipFile(PLUGIN_JAR) as full,
        zipfile.ZipFile(bare, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for entry in full.infolist():
            if not entry.filename.endswith("libfiresteel.so"):
                out.writestr(entry, full.read(entry))
    run = spark.submit(DESCRIBE, jars=[bare])
    assert run.wait() != 0
    assert "built without its native library" in run.output
