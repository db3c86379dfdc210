"""Trainers: each is a strategy of Firesteel with the arguments and defaults of dist-keras.

``train`` runs one Spark job, in which a task for each slot trains in an executor's JVM.
"""

from firesteel.distkeras.asynchronous import (
    ADAG,
    AEASGD,
    DOWNPOUR,
    EAMSGD,
    DynSGD,
    Experimental,
)
from firesteel.distkeras.base import Trainer
from firesteel.distkeras.distributed import AsynchronousDistributedTrainer, DistributedTrainer
from firesteel.distkeras.local_trainers import AveragingTrainer, EnsembleTrainer, SingleTrainer

__all__ = [
    "ADAG",
    "AEASGD",
    "DOWNPOUR",
    "EAMSGD",
    "AsynchronousDistributedTrainer",
    "AveragingTrainer",
    "DistributedTrainer",
    "DynSGD",
    "EnsembleTrainer",
    "Experimental",
    "SingleTrainer",
    "Trainer",
]
