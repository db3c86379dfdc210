"""Keras losses as losses of the estimators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from firesteel.distkeras.serialized import name_and_config

_LOSSES = {
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy_with_logits",
    "kl_divergence": "kl_div",
    "hinge": "hinge",
    "mean_squared_error": "mse_loss",
    "mean_absolute_error": "l1_loss",
}
_OF_NUMBERS = ("mse_loss", "l1_loss")
_ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "kldivergence": "kl_divergence",
}


@dataclass(frozen=True)
class Loss:
    """A loss.

    Parameters
    ----------
    name : str
        The estimators' name.
    signed : bool
        True if the classes may also be -1 and 1.
    smoothing : float
        Label smoothing.
    numbers : bool
        True for a regression loss.
    """

    name: str
    signed: bool = False
    smoothing: float = 0.0
    numbers: bool = False


def resolve(loss: Any) -> Loss:
    """Returns the loss of a Keras name, function or object, or of the JSON form of an object.

    Raises
    ------
    ValueError
        If the loss or one of its options has no counterpart; the error names it.
    """
    given, options = name_and_config(loss)
    name = _snake(given)
    if options.get("reduction", "sum_over_batch_size") not in ("sum_over_batch_size", "mean"):
        raise ValueError(
            f"loss {given}: reduction='{options['reduction']}'; only the mean is supported"
        )
    if name not in _LOSSES:
        known = ", ".join(sorted(_LOSSES))
        raise ValueError(f"loss '{given}' has no counterpart; use one of {known}")
    smoothing = float(options.get("label_smoothing", 0.0))
    return Loss(
        _LOSSES[name],
        signed=name == "hinge",
        smoothing=smoothing,
        numbers=_LOSSES[name] in _OF_NUMBERS,
    )


def to_json(loss: Any) -> str | dict[str, Any]:
    """Returns the JSON form of a loss, which :func:`resolve` reads without Keras.

    Raises
    ------
    ValueError
        If the loss or one of its options has no counterpart; the error names it.
    """
    smoothing = resolve(loss).smoothing
    name = _snake(name_and_config(loss)[0])
    if not smoothing:
        return name
    return {"class_name": name, "config": {"label_smoothing": smoothing}}


def _snake(name: str) -> str:
    """Converts ``CategoricalCrossentropy``, ``MSE`` and ``mse`` to names of Keras functions."""
    words = name.lower() if name.isupper() else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return _ALIASES.get(words, words)
