"""Keras optimizers as params of the estimators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firesteel.distkeras.serialized import is_serialized, json_value, name_and_config

_MOMENTS = {"beta_1": "beta1", "beta_2": "beta2", "epsilon": "epsilon"}
_PARAMS: dict[str, dict[str, str]] = {
    "sgd": {"momentum": "momentum", "nesterov": "nesterov"},
    "adam": {**_MOMENTS, "amsgrad": "amsgrad"},
    "adamw": {**_MOMENTS, "amsgrad": "amsgrad", "weight_decay": "weightDecay"},
    "adagrad": {"initial_accumulator_value": "initialAccumulator", "epsilon": "epsilon"},
    "rmsprop": {
        "rho": "alpha",
        "momentum": "momentum",
        "epsilon": "epsilon",
        "centered": "centered",
    },
    "adadelta": {"rho": "rho", "epsilon": "epsilon"},
    "adamax": _MOMENTS,
    "nadam": _MOMENTS,
}
"""The options of each optimizer beside its learning rate: Keras's name and the param's."""

_ADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "adam": _ADAM,
    "adamw": {**_ADAM, "weight_decay": 0.004},
    "adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "rmsprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
    "adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
    "adamax": _ADAM,
    "nadam": _ADAM,
}
"""Keras 3's defaults, for an optimizer that is given by name."""

_CLIPPING = {"clipvalue": "clipValue", "global_clipnorm": "clipNorm"}
_UNKNOWN = (
    "weight_decay",
    "clipnorm",
    "use_ema",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)
"""Options without a counterpart, which must be off."""

_NOT_USED = ("name", "ema_momentum", "ema_overwrite_frequency")
"""Options of each Keras optimizer that change nothing."""


def optimizer_params(optimizer: Any) -> dict[str, Any]:
    """Returns the estimator params for a Keras optimizer, its JSON form or its name.

    Raises
    ------
    ValueError
        If the optimizer or one of its options has no counterpart; the error names it.
    """
    given, options = _options(optimizer)
    name = given.lower()
    names = _PARAMS[name] | _CLIPPING
    params = {
        names[option]: value
        for option, value in options.items()
        if option in names and value is not None
    }
    if not params.get("momentum"):
        # Nesterov's is a momentum; without one it changes nothing.
        params.pop("nesterov", None)
    return {"optimizer": name, "learningRate": float(options["learning_rate"]), **params}


def to_json(optimizer: Any, rate_factor: float = 1.0) -> str | dict[str, Any]:
    """Returns the JSON form of an optimizer, which :func:`optimizer_params` reads without Keras.

    Parameters
    ----------
    optimizer : str or optimizer of Keras
        The optimizer.
    rate_factor : float
        A factor for its learning rate.

    Raises
    ------
    ValueError
        If the optimizer or one of its options has no counterpart; the error names it.
    """
    given, options = _options(optimizer)
    if isinstance(optimizer, str) and rate_factor == 1:
        return given
    kept = ("learning_rate", *_PARAMS[given.lower()], *_CLIPPING)
    config = {
        option: json_value(f"worker_optimizer {given}: {option}", options[option])
        for option in kept
        if options.get(option) is not None
    }
    config["learning_rate"] *= rate_factor
    return {"class_name": given, "config": config}


def _options(optimizer: Any) -> tuple[str, Mapping[str, Any]]:
    """Returns the class name and all options of an optimizer, which have counterparts."""
    given, own = name_and_config(optimizer)
    name = given.lower()
    known = isinstance(optimizer, str) or is_serialized(optimizer)
    if name not in _PARAMS or not (known or hasattr(optimizer, "get_config")):
        names = ", ".join(sorted(_PARAMS))
        raise ValueError(f"worker_optimizer '{given}' has no counterpart; use one of {names}")
    options = {**_DEFAULTS[name], **own}
    if known:
        allowed = {"learning_rate", *_PARAMS[name], *_CLIPPING, *_UNKNOWN, *_NOT_USED}
        for option in options:
            if option not in allowed:
                raise ValueError(
                    f"worker_optimizer {given}: it has no option '{option}'; its options are "
                    f"{', '.join(sorted({'learning_rate', *_PARAMS[name], *_CLIPPING}))}"
                )
    for option in _UNKNOWN:
        if option not in _PARAMS[name] and options.get(option):
            raise ValueError(
                f"worker_optimizer {given}: {option}={options[option]} has no counterpart"
            )
    rate = options["learning_rate"]
    if not isinstance(rate, float | int):
        raise ValueError(
            f"worker_optimizer {given}: its learning rate is a schedule; give it a number, and "
            "lower it with Emperor or by the schedules of Firesteel's estimators"
        )
    return given, options
