"""Deep learning on Apache Spark DataFrames: neural networks as stages of ``pyspark.ml``.

:mod:`firesteel.classification`, :mod:`firesteel.regression` and :mod:`firesteel.estimator` have the
estimators and models, :mod:`firesteel.layers` the layers of a :class:`Network`.
``firesteel.session().getOrCreate()`` starts Spark with Firesteel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from firesteel.fit_warnings import FitWarning
from firesteel.network import BaseNetwork, Network, Node
from firesteel.persistence import load_network, load_weights
from firesteel.spark import session, spark_jars
from firesteel.torchscript import TorchScriptNetwork

if TYPE_CHECKING:
    from firesteel.keras import from_keras
    from firesteel.torch_import import from_torch

__all__ = [
    "BaseNetwork",
    "FitWarning",
    "Network",
    "Node",
    "TorchScriptNetwork",
    "from_keras",
    "from_torch",
    "load_network",
    "load_weights",
    "session",
    "spark_jars",
]

_OPTIONAL = {"from_keras": "firesteel.keras", "from_torch": "firesteel.torch_import"}
"""Functions that need an optional package, and the module that imports it."""


def __getattr__(name: str) -> Any:
    if name not in _OPTIONAL:
        raise AttributeError(f"module 'firesteel' has no attribute '{name}'")
    return getattr(import_module(_OPTIONAL[name]), name)
