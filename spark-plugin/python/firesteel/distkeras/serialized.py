"""The JSON form of optimizers and losses of Keras: a name, or a class name with a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def is_serialized(value: Any) -> bool:
    """Returns True for the dict of ``keras.optimizers.serialize`` or ``keras.losses.serialize``."""
    return isinstance(value, Mapping) and "class_name" in value and "config" in value


def name_and_config(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Returns the name and the options of a Keras object, its JSON form, a function or a name.

    A class has no options.
    """
    if isinstance(value, str):
        return value, {}
    if is_serialized(value):
        config = value["config"]
        # Keras serializes a function as its name.
        return (str(value["class_name"]), config) if isinstance(config, Mapping) else (config, {})
    has_config = hasattr(value, "get_config") and not isinstance(value, type)
    config = value.get_config() if has_config else {}
    return getattr(value, "__name__", type(value).__name__), config


def json_value(argument: str, value: Any) -> Any:
    """Returns a value as JSON has it: NumPy's numbers become Python's, tuples become lists.

    Raises
    ------
    TypeError
        If the value is no number, text, list or dict of them; the error names the argument.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): json_value(argument, one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [json_value(argument, one) for one in value]
    raise TypeError(
        f"{argument} has a value of type {type(value).__name__}, which JSON does not have; use "
        "numbers, strings, lists or dicts"
    )
