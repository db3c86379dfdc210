"""Deep learning on Apache Spark DataFrames: neural networks as stages of ``pyspark.ml``.

:mod:`firesteel.classification` has the estimators and models, :mod:`firesteel.layers` the layers of
a :class:`Network`. ``firesteel.session().getOrCreate()`` starts Spark with Firesteel.
"""

from firesteel.network import BaseNetwork, Network, Node
from firesteel.spark import session, spark_jars
from firesteel.torchscript import TorchScriptNetwork

__all__ = ["BaseNetwork", "Network", "Node", "TorchScriptNetwork", "session", "spark_jars"]
