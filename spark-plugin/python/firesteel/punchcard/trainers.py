"""The JSON form of the trainers of ``firesteel.distkeras``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from firesteel.distkeras import losses, optimizers
from firesteel.distkeras.distributed import AsynchronousDistributedTrainer, DistributedTrainer
from firesteel.distkeras.models import as_network, output_names
from firesteel.distkeras.serialized import is_serialized, json_value
from firesteel.distkeras.trainers import (
    ADAG,
    AEASGD,
    DOWNPOUR,
    EAMSGD,
    AveragingTrainer,
    DynSGD,
    EnsembleTrainer,
    Experimental,
    SingleTrainer,
    Trainer,
)
from firesteel.distkeras.training import for_each_output
from firesteel.network import BaseNetwork

TRAINERS: Mapping[str, type[Trainer]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            ADAG,
            AEASGD,
            AveragingTrainer,
            DOWNPOUR,
            DynSGD,
            EAMSGD,
            EnsembleTrainer,
            Experimental,
            SingleTrainer,
        )
    }
)
"""The classes that a job may name."""

_MODEL = "keras_model"
_ATTRIBUTES = {"features_col": "features_column", "label_col": "label_column"}
"""The attributes of arguments that are stored under another name."""
_WHOLE = ("num_workers", "batch_size", "num_epoch", "communication_window", "num_ensembles")
_NUMBERS = ("learning_rate", "momentum", "rho")
_COLUMNS = ("features_col", "label_col")


def arguments_of(kind: type[Trainer]) -> tuple[str, ...]:
    """Returns the names of a trainer's arguments, without the model."""
    return tuple(name for name in inspect.signature(kind).parameters if name != _MODEL)


def describe(trainer: Trainer) -> tuple[dict[str, Any], BaseNetwork]:
    """Returns the JSON form of a trainer, ``{"class", "arguments"}``, and its network with weights.

    What setters have changed is a part of it: the parallelism factor is multiplied into the number
    of workers, and a changed learning rate into that of the optimizer.

    Raises
    ------
    TypeError
        If it is not exactly one of the trainers of dist-keras, or an argument has no JSON form.
    ValueError
        If the optimizer, a loss or one of their options has no counterpart; the error names it.
    """
    kind = type(trainer)
    if TRAINERS.get(kind.__name__) is not kind:
        raise TypeError(
            f"trainer is a {kind.__module__}.{kind.__name__}; a job takes the trainers "
            f"{', '.join(sorted(TRAINERS))} of firesteel.distkeras themselves, or a Program"
        )
    network = as_network(trainer.master_model)
    names = output_names(trainer.master_model, network)
    converted: dict[str, Any] = {
        "worker_optimizer": optimizers.to_json(trainer.worker_optimizer, _rate_factor(trainer)),
        "loss": _losses(trainer.loss, names),
        "metrics": [_metric(metric) for metric in trainer.metrics],
    }
    if trainer.loss_weights is not None:
        weights = for_each_output("loss_weights", trainer.loss_weights, names)
        converted["loss_weights"] = [float(weight) for weight in weights]
    if isinstance(trainer, AsynchronousDistributedTrainer):
        workers = trainer.num_workers * trainer.parallelism_factor
        converted["num_workers"] = json_value("num_workers", workers)
    arguments = {
        name: converted[name]
        if name in converted
        else json_value(name, getattr(trainer, _ATTRIBUTES.get(name, name)))
        for name in arguments_of(kind)
    }
    document = {"class": kind.__name__, "arguments": arguments}
    check(document)
    return document, network


def check(document: Any) -> tuple[type[Trainer], dict[str, Any]]:
    """Checks the JSON form of a trainer; returns the class and the keyword arguments.

    Raises
    ------
    ValueError
        If the class is unknown, an argument is unknown or missing, or a value does not fit.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("arguments"), Mapping):
        raise ValueError('trainer must be an object {"class": ..., "arguments": {...}}')
    kind = TRAINERS.get(str(document.get("class")))
    if kind is None:
        raise ValueError(
            f"trainer.class must be one of {', '.join(sorted(TRAINERS))}, "
            f"not '{document.get('class')}'"
        )
    arguments = dict(document["arguments"])
    names = arguments_of(kind)
    for name, value in arguments.items():
        if name not in names:
            raise ValueError(
                f"trainer.arguments: {kind.__name__} has no argument '{name}'; "
                f"its arguments are {', '.join(names)}"
            )
        problem = _problem(name, value)
        if problem:
            raise ValueError(f"trainer.arguments.{name} must be {problem}, not {value!r}")
    for name in ("worker_optimizer", "loss"):
        if name not in arguments:
            raise ValueError(f"trainer.arguments: {kind.__name__} needs the argument '{name}'")
    optimizers.optimizer_params(arguments["worker_optimizer"])
    return kind, arguments


def build(document: Any, network: BaseNetwork) -> Trainer:
    """Builds the trainer of a JSON form.

    Raises
    ------
    ValueError
        As of :func:`check`.
    """
    kind, arguments = check(document)
    return kind(network, **arguments)


def _problem(name: str, value: Any) -> str | None:
    """Returns the values that an argument takes, if this is none of them."""
    if name in _WHOLE:
        fits = isinstance(value, int) and not isinstance(value, bool) and value > 0
        return None if fits else "a whole number from 1 on"
    if name in _NUMBERS:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        return None if fits or (name == "rho" and value is None) else "a number"
    if name in _COLUMNS:
        return None if isinstance(value, str) or _are_names(value) else "a name or a list of names"
    if name == "metrics":
        return None if _are_names(value) else "a list of names"
    return None


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _rate_factor(trainer: Trainer) -> float:
    """Returns the factor by which ``set_learning_rate`` has changed the optimizer's rate."""
    return trainer.rate_factor if isinstance(trainer, DistributedTrainer) else 1.0


def _losses(given: Any, names: list[str]) -> Any:
    """Returns the JSON form of the losses: one for all outputs, or a list with one for each."""
    if isinstance(given, list | tuple | Mapping) and not is_serialized(given):
        return [losses.to_json(one) for one in for_each_output("loss", given, names)]
    return losses.to_json(given)


def _metric(metric: Any) -> str:
    name = metric if isinstance(metric, str) else getattr(metric, "name", None)
    name = name if isinstance(name, str) else getattr(metric, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"metrics has a {type(metric).__name__} without a name; use names")
    return name
