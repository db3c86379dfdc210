"""Neural network classification."""

from __future__ import annotations

from typing import Any, Self, Unpack

from pyspark.ml.classification import (
    _JavaProbabilisticClassificationModel,
    _JavaProbabilisticClassifier,
)
from pyspark.ml.linalg import Vector
from pyspark.ml.param import Param
from pyspark.ml.util import JavaMLReadable

from firesteel.params.feature import FeatureOptions, FeatureSetters
from firesteel.params.loss import LossOptions, LossParams, LossSetters, loss_param
from firesteel.stages import EstimatorOptions, NetworkEstimation, NetworkModelBase, expose_signature

__all__ = ["NetworkClassificationModel", "NetworkClassifier"]

_LOSSES = (
    "cross_entropy",
    "binary_cross_entropy_with_logits",
    "nll_loss",
    "hinge",
    "kl_div",
    "mse_loss",
    "l1_loss",
)


class ClassifierOptions(EstimatorOptions, FeatureOptions, LossOptions, total=False):
    """Keyword arguments of :class:`NetworkClassifier`, which has a param for each."""

    labelCol: str
    predictionCol: str
    probabilityCol: str
    rawPredictionCol: str
    thresholds: list[float]


@expose_signature(ClassifierOptions)
class NetworkClassifier(
    NetworkEstimation["NetworkClassificationModel"],
    _JavaProbabilisticClassifier["NetworkClassificationModel"],
    FeatureSetters,
    LossSetters,
    JavaMLReadable["NetworkClassifier"],
):
    """Neural network classification.

    Features are one column of ML vectors, of arrays of a numeric type or of binary, or several
    numeric columns. Labels are class indices from 0, of any numeric type. The network has an output
    value for each class, or a single one for two classes; a final ``Softmax`` or ``Sigmoid``
    becomes a part of the loss.

    ``fit`` runs one Spark job and fails if the model was not trained. Each keyword argument sets
    the param of that name; ``explainParams()`` lists their meanings and defaults.

    Parameters
    ----------
    network : firesteel.Network, firesteel.TorchScriptNetwork or str
        The network to train, or its JSON. Required by ``fit``.
    **options
        Any other param, such as ``epochs``, ``batchSize``, ``optimizer``, ``learningRate``,
        ``strategy``, ``numWorkers``, ``featuresCol`` and ``labelCol``.

    Examples
    --------
    >>> from firesteel import Network
    >>> from firesteel.classification import NetworkClassificationModel, NetworkClassifier
    >>> from firesteel.layers import Linear, Softmax, Tanh
    >>> from pyspark.ml.linalg import Vectors
    >>> rows = [(Vectors.dense(x, y), float(x * y > 0)) for x in (-1, 1) for y in (-1, 1)]
    >>> data = spark.createDataFrame(rows * 25, ["features", "label"]).coalesce(1)
    >>> network = Network.sequential(Linear(8), Tanh(), Linear(2), Softmax())
    >>> classifier = NetworkClassifier(network=network, epochs=30, batchSize=10, numWorkers=1)
    >>> classifier.setLearningRate(0.05).getEpochs()
    30
    >>> model = classifier.setSeed(1).fit(data)
    >>> model.transform(data).where("label = prediction").count()
    100
    >>> model.weights["0.weight"].shape
    (8, 2)
    >>> len(model.summary.epochs)
    30
    >>> model.save(folder + "/model")
    >>> NetworkClassificationModel.load(folder + "/model").predict(Vectors.dense(1, 1))
    1.0
    """

    _java_class = "firesteel.classification.NetworkClassifier"

    loss: Param[str] = loss_param(*_LOSSES)

    def __init__(self, **options: Unpack[ClassifierOptions]) -> None:
        super().__init__()
        self.setParams(**options)

    def setParams(self, **options: Unpack[ClassifierOptions]) -> Self:
        """Sets the params of these names."""
        return self._set(**options)

    def _create_model(self, java_model: Any) -> NetworkClassificationModel:
        return NetworkClassificationModel(java_model)


class NetworkClassificationModel(
    NetworkModelBase,
    _JavaProbabilisticClassificationModel[Vector],
    FeatureSetters,
    LossParams,
    JavaMLReadable["NetworkClassificationModel"],
):
    """A classification network, trained by a :class:`NetworkClassifier`.

    ``transform`` appends columns, to batch and to streaming DataFrames: ``rawPrediction``, the
    logits (for a network with a single output z the vector [-z, z]); ``probability``;
    ``prediction``, the class index.
    """

    _java_class = "firesteel.classification.NetworkClassificationModel"
    _gives_classes = True

    loss: Param[str] = loss_param(*_LOSSES)
