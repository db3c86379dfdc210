"""Training of networks with any number of inputs and outputs."""

from __future__ import annotations

from typing import Any, Self, Unpack

from pyspark.ml.util import JavaMLReadable

from firesteel.params.multi_io import MultiIOOptions, MultiIOParams, MultiIOSetters
from firesteel.stages import EstimatorOptions, NetworkEstimation, NetworkModelBase, expose_signature

__all__ = ["NetworkEstimator", "NetworkModel"]


class NetworkEstimatorOptions(EstimatorOptions, MultiIOOptions, total=False):
    """Keyword arguments of :class:`NetworkEstimator`, which has a param for each."""


@expose_signature(NetworkEstimatorOptions)
class NetworkEstimator(
    NetworkEstimation["NetworkModel"],
    MultiIOSetters,
    JavaMLReadable["NetworkEstimator"],
):
    """Trains a neural network with any number of inputs and outputs.

    ``featuresCols`` names one column for each input and ``labelCols`` one for each output, in the
    order of the network. The loss is the sum of the outputs' losses, weighted by ``lossWeights``.
    A final ``Softmax`` or ``Sigmoid`` of an output becomes a part of its loss, and the model
    applies it.

    Parameters
    ----------
    network : firesteel.Network, firesteel.TorchScriptNetwork or str
        The network to train, or its JSON. Required by ``fit``.
    **options
        Any other param, such as ``featuresCols``, ``labelCols``, ``losses`` and ``outputCols``.

    Examples
    --------
    >>> from firesteel import Network, Node
    >>> from firesteel.estimator import NetworkEstimator
    >>> from firesteel.layers import Concatenate, Linear, Sigmoid
    >>> network = Network(
    ...     ["left", "right"],
    ...     [
    ...         Node.of("both", Concatenate(), "left", "right"),
    ...         Node.of("logit", Linear(1), "both"),
    ...         Node.of("larger", Sigmoid(), "logit"),
    ...         Node.of("sum", Linear(1), "both"),
    ...     ],
    ...     ["larger", "sum"],
    ... )
    >>> pairs = [(float(a), float(b)) for a in range(6) for b in range(6)]
    >>> rows = [(a, b, float(a > b), a + b) for a, b in pairs]
    >>> data = spark.createDataFrame(rows, ["a", "b", "label", "total"]).coalesce(1)
    >>> estimator = NetworkEstimator(
    ...     network=network, featuresCols=["a", "b"], labelCols=["label", "total"]
    ... ).setStrategy("single")
    >>> model = estimator.setEpochs(100).setBatchSize(4).setLearningRate(0.02).fit(data)
    >>> scored = model.transform(data)
    >>> scored.columns
    ['a', 'b', 'label', 'total', 'larger', 'sum']
    >>> scored.where("abs(sum - total) < 0.5").count()
    36
    """

    _java_class = "firesteel.estimator.NetworkEstimator"

    def __init__(self, **options: Unpack[NetworkEstimatorOptions]) -> None:
        super().__init__()
        self.setParams(**options)

    def setParams(self, **options: Unpack[NetworkEstimatorOptions]) -> Self:
        """Sets the params of these names."""
        return self._set(**options)

    def _create_model(self, java_model: Any) -> NetworkModel:
        return NetworkModel(java_model)


class NetworkModel(NetworkModelBase, MultiIOParams, JavaMLReadable["NetworkModel"]):
    """A network that was trained by a :class:`NetworkEstimator`.

    ``transform`` appends a column for each output to batch and to streaming DataFrames: the output
    of the network after its last activation, a double for a single number, otherwise a vector.
    """

    _java_class = "firesteel.estimator.NetworkModel"
