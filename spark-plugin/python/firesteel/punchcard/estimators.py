"""The JSON form of the estimators of Firesteel."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from firesteel.classification import NetworkClassifier
from firesteel.distkeras.serialized import json_value
from firesteel.estimator import NetworkEstimator
from firesteel.network import BaseNetwork
from firesteel.regression import NetworkRegressor
from firesteel.stages import NetworkEstimation

ESTIMATORS: Mapping[str, type[NetworkEstimation[Any]]] = MappingProxyType(
    {kind.__name__: kind for kind in (NetworkClassifier, NetworkRegressor, NetworkEstimator)}
)
"""The classes that a job may name."""

_NETWORK = "network"


@dataclass(frozen=True)
class Estimator:
    """An estimator by its name and params, which needs no Spark session.

    Parameters
    ----------
    name : str
        ``NetworkClassifier``, ``NetworkRegressor`` or ``NetworkEstimator``.
    network : BaseNetwork
        The network to train, from its weights if it has any.
    params : dict
        The params by name, such as ``{"epochs": 5}``.
    """

    name: str
    network: BaseNetwork
    params: Mapping[str, Any] = field(default_factory=dict)


def params_of(kind: type[NetworkEstimation[Any]]) -> tuple[str, ...]:
    """Returns the names of an estimator's params, without the network."""
    return tuple(name for name in inspect.signature(kind).parameters if name != _NETWORK)


def describe(
    estimator: NetworkEstimation[Any] | Estimator,
) -> tuple[str, dict[str, Any], BaseNetwork]:
    """Returns an estimator's class name, the JSON form of the params that are set, and its network.

    Raises
    ------
    TypeError
        If it is not exactly one of Firesteel's estimators, or a param has no JSON form.
    ValueError
        If it has no network, or an unknown param; the error names it.
    """
    if isinstance(estimator, Estimator):
        name, network, params = estimator.name, estimator.network, dict(estimator.params)
    else:
        name = type(estimator).__name__
        if ESTIMATORS.get(name) is not type(estimator):
            raise TypeError(
                f"estimator is a {name}; a job takes {', '.join(sorted(ESTIMATORS))} themselves"
            )
        if not estimator.isSet(estimator.network):
            raise ValueError("the estimator's param network is not set")
        network = estimator.getNetwork()
        params = {
            param.name: estimator.getOrDefault(param)
            for param in estimator.params
            if estimator.isSet(param) and param.name != _NETWORK
        }
    params = {key: json_value(f"params.{key}", value) for key, value in params.items()}
    check(name, params)
    return name, params, network


def check(name: Any, params: Any) -> type[NetworkEstimation[Any]]:
    """Checks an estimator's name and params; returns its class.

    Raises
    ------
    ValueError
        If the class or a param is unknown, or a value is not of its param's type.
    """
    kind = ESTIMATORS.get(str(name))
    if kind is None:
        raise ValueError(f"estimator must be one of {', '.join(sorted(ESTIMATORS))}, not '{name}'")
    if not isinstance(params, Mapping):
        raise ValueError("params must be an object of params by name")
    names = params_of(kind)
    for param, value in params.items():
        if param not in names:
            raise ValueError(
                f"params: {kind.__name__} has no param '{param}'; its params are "
                f"{', '.join(sorted(names))}"
            )
        try:
            if value is not None:
                getattr(kind, param).typeConverter(value)
        except TypeError as error:
            raise ValueError(f"params.{param}: {error}") from None
    return kind


def build(name: Any, params: Any, network: BaseNetwork) -> NetworkEstimation[Any]:
    """Builds the estimator of a name and params, in a process with a Spark session.

    Raises
    ------
    ValueError
        As of :func:`check`.
    """
    return check(name, params)(network=network, **params)  # type: ignore[call-arg]
