"""The interface of dist-keras over Firesteel: a script runs with its imports changed.

``from distkeras.trainers import *`` becomes ``from firesteel.distkeras.trainers import *``, and so
on for ``predictors``, ``transformers``, ``evaluators``, ``schemes`` and ``utils``. Models are Keras
3 models, Firesteel networks or fitted models. Nothing here starts Python on an executor:
transformers are Spark SQL functions, trainers and predictors run in the JVM.

docs/migrating-from-dist-keras.md of the project maps every class, argument and default.
"""

from firesteel.distkeras.evaluators import AccuracyEvaluator, Evaluator
from firesteel.distkeras.parameter_servers import ParameterServer
from firesteel.distkeras.predictors import ModelPredictor, Predictor
from firesteel.distkeras.schemes import Emperor, Scheme
from firesteel.distkeras.trainers import (
    ADAG,
    AEASGD,
    DOWNPOUR,
    EAMSGD,
    AsynchronousDistributedTrainer,
    AveragingTrainer,
    DistributedTrainer,
    DynSGD,
    EnsembleTrainer,
    Experimental,
    SingleTrainer,
    Trainer,
)
from firesteel.distkeras.transformers import (
    BinaryLabelTransformer,
    DenseTransformer,
    LabelIndexTransformer,
    MinMaxTransformer,
    OneHotTransformer,
    ReshapeTransformer,
    StandardTransformer,
    Transformer,
)

__all__ = [
    "ADAG",
    "AEASGD",
    "DOWNPOUR",
    "EAMSGD",
    "AccuracyEvaluator",
    "AsynchronousDistributedTrainer",
    "AveragingTrainer",
    "BinaryLabelTransformer",
    "DenseTransformer",
    "DistributedTrainer",
    "DynSGD",
    "Emperor",
    "EnsembleTrainer",
    "Evaluator",
    "Experimental",
    "LabelIndexTransformer",
    "MinMaxTransformer",
    "ModelPredictor",
    "OneHotTransformer",
    "ParameterServer",
    "Predictor",
    "ReshapeTransformer",
    "Scheme",
    "SingleTrainer",
    "StandardTransformer",
    "Trainer",
    "Transformer",
]
