"""Spark sessions that have Firesteel's jars."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pyspark.sql import SparkSession

PLUGIN = "firesteel.plugin.FiresteelPlugin"
_PLUGIN_JAR = "firesteel.jar"
_NATIVES_JAR = "firesteel-libtorch-cpu-linux-x86_64.jar"
_NATIVES_PACKAGE = "firesteel_libtorch_cpu"
# In a checkout this file is spark-plugin/python/firesteel/spark.py.
_CHECKOUT_BUILD = Path(__file__).resolve().parents[3] / "build"


def spark_jars() -> list[str]:
    """Returns the jars that Spark needs, for ``spark.jars`` or ``spark-submit --jars``.

    Returns
    -------
    list of str
        The paths of ``firesteel.jar`` and, where the package ``firesteel-libtorch-cpu`` is
        installed, of the jar with libtorch, both from the wheels; in a checkout those that ``make
        jar`` and ``make natives-jar`` built.

    Raises
    ------
    FileNotFoundError
        If there is no ``firesteel.jar``.
    """
    packaged = Path(__file__).resolve().parent / "jars"
    plugin = next((f for f in (packaged, _CHECKOUT_BUILD) if (f / _PLUGIN_JAR).exists()), None)
    if plugin is None:
        raise FileNotFoundError(
            f"{packaged / _PLUGIN_JAR} is missing: install the wheel, or run `make jar` in a "
            "checkout"
        )
    natives = find_spec(_NATIVES_PACKAGE)
    folders = [Path(f) / "jars" for f in (natives and natives.submodule_search_locations) or ()]
    jars = [plugin / _PLUGIN_JAR]
    jars += [f / _NATIVES_JAR for f in (*folders, plugin) if (f / _NATIVES_JAR).exists()][:1]
    return [str(jar) for jar in jars]


def session(builder: SparkSession.Builder | None = None) -> SparkSession.Builder:
    """Returns a builder of sessions with Firesteel.

    Sets ``spark.jars`` to :func:`spark_jars` and ``spark.plugins`` to Firesteel's plugin. Both take
    effect when Spark starts: a session that is already running keeps what it was started with.

    Parameters
    ----------
    builder : SparkSession.Builder, optional
        The builder to extend. Default: ``SparkSession.builder``.

    Examples
    --------
    >>> import firesteel
    >>> spark = firesteel.session().master("local[2]").getOrCreate()
    """
    started = SparkSession.builder if builder is None else builder
    return started.config("spark.jars", ",".join(spark_jars())).config("spark.plugins", PLUGIN)
