"""Neural network regression."""

from __future__ import annotations

from typing import Any, Self, Unpack

from pyspark.ml.linalg import Vector
from pyspark.ml.param import Param
from pyspark.ml.regression import _JavaRegressionModel, _JavaRegressor
from pyspark.ml.util import JavaMLReadable

from firesteel.params.feature import FeatureOptions, FeatureSetters
from firesteel.params.loss import (
    HuberOptions,
    HuberParams,
    HuberSetters,
    LossOptions,
    LossParams,
    LossSetters,
    loss_param,
)
from firesteel.stages import EstimatorOptions, NetworkEstimation, NetworkModelBase, expose_signature

__all__ = ["NetworkRegressionModel", "NetworkRegressor"]

_LOSSES = (
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "poisson_nll_loss",
    "binary_cross_entropy_with_logits",
)


class RegressorOptions(EstimatorOptions, FeatureOptions, LossOptions, HuberOptions, total=False):
    """Keyword arguments of :class:`NetworkRegressor`, which has a param for each."""

    labelCol: str
    predictionCol: str


@expose_signature(RegressorOptions)
class NetworkRegressor(
    NetworkEstimation["NetworkRegressionModel"],
    _JavaRegressor["NetworkRegressionModel"],
    FeatureSetters,
    LossSetters,
    HuberSetters,
    JavaMLReadable["NetworkRegressor"],
):
    """Neural network regression.

    Features are as of :class:`firesteel.classification.NetworkClassifier`. The label is a numeric
    column for a network with one value, and for one with n values a column of ML vectors or of
    numeric arrays of n values.

    Parameters
    ----------
    network : firesteel.Network, firesteel.TorchScriptNetwork or str
        The network to train, or its JSON. Required by ``fit``.
    **options
        Any other param, such as ``epochs``, ``batchSize``, ``loss`` and ``labelCol``.

    Examples
    --------
    >>> from firesteel import Network
    >>> from firesteel.layers import Linear
    >>> from firesteel.regression import NetworkRegressor
    >>> from pyspark.ml.linalg import Vectors
    >>> rows = [(Vectors.dense(x / 10), 3.0 * x / 10 - 1) for x in range(-20, 20)]
    >>> data = spark.createDataFrame(rows, ["features", "label"]).coalesce(1)
    >>> regressor = NetworkRegressor(network=Network.sequential(Linear(1)), strategy="single")
    >>> model = regressor.setEpochs(80).setBatchSize(4).setLearningRate(0.02).fit(data)
    >>> abs(model.predict(Vectors.dense(1)) - 2) < 0.1
    True
    >>> abs(float(model.weights["0.weight"][0, 0]) - 3) < 0.1
    True
    """

    _java_class = "firesteel.regression.NetworkRegressor"

    loss: Param[str] = loss_param(*_LOSSES)

    def __init__(self, **options: Unpack[RegressorOptions]) -> None:
        super().__init__()
        self.setParams(**options)

    def setParams(self, **options: Unpack[RegressorOptions]) -> Self:
        """Sets the params of these names."""
        return self._set(**options)

    def _create_model(self, java_model: Any) -> NetworkRegressionModel:
        return NetworkRegressionModel(java_model)


class NetworkRegressionModel(
    NetworkModelBase,
    _JavaRegressionModel[Vector],
    FeatureSetters,
    LossParams,
    HuberParams,
    JavaMLReadable["NetworkRegressionModel"],
):
    """A regression network, trained by a :class:`NetworkRegressor`.

    ``transform`` appends the column ``prediction`` to batch and to streaming DataFrames: a double,
    or for a network with several values a vector of them.
    """

    _java_class = "firesteel.regression.NetworkRegressionModel"

    loss: Param[str] = loss_param(*_LOSSES)
