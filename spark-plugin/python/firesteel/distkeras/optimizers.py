"""Keras optimizers as params of the estimators."""

from __future__ import annotations

from typing import Any

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


def optimizer_params(optimizer: Any) -> dict[str, Any]:
    """Returns the estimator params for a Keras optimizer or its name.

    Raises
    ------
    ValueError
        If the optimizer or one of its options has no counterpart; the error names it.
    """
    named = isinstance(optimizer, str)
    given = optimizer if named else type(optimizer).__name__
    name = given.lower()
    if name not in _PARAMS or not (named or hasattr(optimizer, "get_config")):
        known = ", ".join(sorted(_PARAMS))
        raise ValueError(f"worker_optimizer '{given}' has no counterpart; use one of {known}")
    options = _DEFAULTS[name] if named else optimizer.get_config()
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
    names = _PARAMS[name] | _CLIPPING
    params = {
        names[option]: value
        for option, value in options.items()
        if option in names and value is not None
    }
    if not params.get("momentum"):
        # Nesterov's is a momentum; without one it changes nothing.
        params.pop("nesterov", None)
    return {"optimizer": name, "learningRate": float(rate), **params}
